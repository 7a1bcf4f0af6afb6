import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isEngineError } from '#base/errors.ts';
import { encodeLaunchPlan, HEAD_BYTES, HEADER_BYTES, PLAN_MAGIC, PLAN_VERSION } from './encode.ts';
import {
  type FieldKind,
  type LaunchPlan,
  LISTS,
  MAX_LIST_TEXTS,
  MAX_OPERATIONS,
  MAX_PLAN_BYTES,
  type Operation,
  OPERATIONS,
} from './operations.ts';

interface Decoded {
  readonly op: string;
  readonly ignore: number[];
  readonly fields: Record<string, unknown>;
}

const align = (size: number): number => Math.ceil(size / 8) * 8;

/** An independent reader of the format that docs/flows/launch-plan.md describes. */
function decode(plan: Buffer): Record<string, Decoded[]> {
  assert.equal(plan.readUInt32LE(0), PLAN_MAGIC);
  assert.equal(plan.readUInt32LE(4), plan.length);
  assert.equal(plan.readUInt32LE(8), PLAN_VERSION);
  assert.equal(plan.readBigUInt64LE(24), 0n);
  let at = HEADER_BYTES;
  const text = (): string => {
    const length = plan.readUInt32LE(at);
    const value = plan.toString('utf8', at + 4, at + 4 + length);
    assert.equal(plan[at + 4 + length], 0);
    at += align(4 + length + 1);
    return value;
  };
  const field = (kind: FieldKind): unknown => {
    if (kind === 'number' || kind === 'slot' || kind === 'newSlot') {
      at += 8;
      return plan.readBigUInt64LE(at - 8);
    }
    if (kind === 'text') return text();
    const length = plan.readUInt32LE(at);
    const second = plan.readUInt32LE(at + 4);
    at += 8;
    if (kind === 'list') {
      const end = at + second;
      const values = Array.from({ length }, text);
      assert.equal(at, end);
      return values;
    }
    assert.equal(second, 0);
    at += align(length);
    return [...plan.subarray(at - align(length), at - align(length) + length)];
  };
  const byCode = new Map(
    Object.entries(OPERATIONS).map(([op, shape]) => [shape.code as number, { op, shape }]),
  );
  const operation = (): Decoded => {
    const start = at;
    const known = byCode.get(plan.readUInt16LE(at));
    assert.ok(known);
    const end = start + plan.readUInt32LE(at + 4);
    const ignore = [0, 1, 2, 3]
      .map((i) => plan.readUInt16LE(start + 8 + 2 * i))
      .filter((errno) => errno !== 0);
    at += HEAD_BYTES;
    const kinds = Object.entries<FieldKind>(known.shape.fields);
    assert.equal(plan.readUInt16LE(start + 2), kinds.length);
    const fields = Object.fromEntries(kinds.map(([name, kind]) => [name, field(kind)]));
    assert.equal(at, end);
    return { op: known.op, ignore, fields };
  };
  const lists = LISTS.map((list, i): [string, Decoded[]] => [
    list,
    Array.from({ length: plan.readUInt32LE(12 + 4 * i) }, operation),
  ]);
  assert.equal(at, plan.length);
  return Object.fromEntries(lists);
}

const planOf = (...before: Operation[]): LaunchPlan => ({ before, parent: [], child: [] });

test('what is encoded can be read back: every kind of field, all three lists', () => {
  const plan: LaunchPlan = {
    before: [
      {
        op: 'makeMount',
        slot: 8,
        type: 'tmpfs',
        source: '',
        options: ['mode=755', 'ü', ''],
        attributes: 2 ** 40,
      },
      { op: 'clone', flags: 0x20000, cgroup: 0xffff },
    ],
    parent: [{ op: 'waitExecuted' }],
    child: [
      { op: 'oomScore', value: -998, ignore: [13, 1] },
      { op: 'seccomp', flags: 0, program: Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8, 9]) },
      { op: 'bounding', mask: 2n ** 64n - 1n },
      { op: 'execute', arguments: ['true'], environment: [] },
    ],
  };
  const read = decode(encodeLaunchPlan(plan));
  assert.deepEqual(read, {
    before: [
      {
        op: 'makeMount',
        ignore: [],
        fields: {
          slot: 8n,
          type: 'tmpfs',
          source: '',
          options: ['mode=755', 'ü', ''],
          attributes: 2n ** 40n,
        },
      },
      { op: 'clone', ignore: [], fields: { flags: 0x20000n, cgroup: 0xffffn } },
    ],
    parent: [{ op: 'waitExecuted', ignore: [], fields: {} }],
    child: [
      { op: 'oomScore', ignore: [13, 1], fields: { value: 2n ** 64n - 998n } },
      { op: 'seccomp', ignore: [], fields: { flags: 0n, program: [1, 2, 3, 4, 5, 6, 7, 8, 9] } },
      { op: 'bounding', ignore: [], fields: { mask: 2n ** 64n - 1n } },
      { op: 'execute', ignore: [], fields: { arguments: ['true'], environment: [] } },
    ],
  });
});

test('what does not fit is refused, with the member of the spec that it comes from', () => {
  const cases: [Operation, RegExp][] = [
    [{ op: 'hostname', name: 'a\0b', from: 'hostname' }, /^hostname: a NUL character in a text$/],
    [
      { op: 'execute', arguments: [], environment: ['A=\0'], from: 'process.args' },
      /^process.env: a NUL character in a text$/,
    ],
    [{ op: 'close', slot: 1024 }, /^close: slot is no slot$/],
    [
      { op: 'uid', uid: 1.5, from: 'process.user.uid' },
      /^process.user.uid: uid needs uid as a whole number$/,
    ],
    [{ op: 'bounding', mask: 2n ** 64n }, /^bounding: mask does not fit 64 bits$/],
    [{ op: 'umask', mask: 0, ignore: [1, 2, 3, 4, 5] }, /^umask: more than 4 errnos to ignore$/],
    [{ op: 'umask', mask: 0, ignore: [0] }, /^umask: 0 is no errno$/],
  ];
  for (const [operation, expected] of cases) {
    assert.throws(
      () => encodeLaunchPlan(planOf(operation)),
      (error) => isEngineError(error, 'invalidArgument') && expected.test(error.message),
      expected.source,
    );
  }
});

test('a plan has limits: who crosses one is named by its member of the spec', () => {
  const refused = (plan: LaunchPlan, message: string): void =>
    assert.throws(
      () => encodeLaunchPlan(plan),
      (error) => isEngineError(error, 'invalidArgument') && error.message === message,
    );
  const bytes = `with it the launch plan is larger than ${MAX_PLAN_BYTES} bytes`;
  const half = new Uint8Array(MAX_PLAN_BYTES / 2);
  const write = (value: Uint8Array, from?: string): Operation => ({
    op: 'writeFile',
    at: 8,
    path: 'a',
    value,
    ...(from === undefined ? {} : { from }),
  });
  refused(
    planOf(write(half, 'hooks.prestart[0]'), write(half, 'hooks.prestart[1]')),
    `hooks.prestart[1]: ${bytes}`,
  );
  refused(planOf(write(half), write(half)), `writeFile: ${bytes}`);
  const links = Array.from({ length: MAX_OPERATIONS }, (_, i): Operation => {
    return { op: 'makeLink', root: 0, path: '/a', target: 'b', from: `linux.devices[${i}]` };
  });
  const many = `with it the launch plan has more than ${MAX_OPERATIONS} operations`;
  const session: Operation = { op: 'setSession' };
  encodeLaunchPlan({ before: [], parent: [], child: links });
  const last = `linux.devices[${MAX_OPERATIONS - 1}]`;
  refused({ before: [session], parent: [], child: links }, `${last}: ${many}`);
  refused({ before: [], parent: [], child: [...links, session] }, `${last}: ${many}`);
  refused(
    { before: Array.from({ length: MAX_OPERATIONS + 1 }, () => session), parent: [], child: [] },
    `setSession: ${many}`,
  );
  const environment: string[] = Array.from({ length: MAX_LIST_TEXTS }, () => '');
  const execute: Operation = { op: 'execute', arguments: ['a'], environment, from: 'process.args' };
  refused(planOf(execute), `process.env: with it the launch plan has more than ${MAX_LIST_TEXTS} texts`);
});
