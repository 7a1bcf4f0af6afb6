/** Launch plans in START and EXEC: who the parent is, what is told, and when. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { encodeLaunchPlan } from '../../../src/runtime/launch-plan/encode.ts';
import {
  type LaunchPlan,
  NO_SLOT,
  type Operation,
  SLOT,
} from '../../../src/runtime/launch-plan/operations.ts';
import { cannotLaunch, makeRoot, smallPlan } from '../launcher/launch-command.ts';
import { CLONE } from '../launcher/sandbox.ts';
import { FIELD, type FieldInput, FRAME, type Frame, intOf, textOf } from './shim-connection.ts';
import { type Shim, startShim, until } from './shim-harness.ts';

/** Of a plan, and of a number or slot in an operation. */
const HEADER_BYTES = 32;
const FIELD_BYTES = 8;
const STDIN_OPEN = 1;
const TERMINAL = 16;
const ASKED_AGAIN = 32;

function planField(plan: LaunchPlan): FieldInput {
  return [FIELD.plan, encodeLaunchPlan(plan)];
}

const PROGRAM = (command: readonly string[], environment: readonly string[] = ['PATH=/bin']): Operation[] => [
  { op: 'resetSignals' },
  { op: 'stdio', in: SLOT.in, out: SLOT.out, err: SLOT.err, controlling: 0 },
  { op: 'closeFrom', first: 3 },
  { op: 'execute', arguments: command, environment },
];

/** Into the namespaces of init, as an exec goes. */
function execPlan(command: readonly string[], early: readonly Operation[] = []): LaunchPlan {
  const flags = CLONE.mount | CLONE.pid | CLONE.uts | CLONE.ipc;
  return {
    before: [
      { op: 'joinNamespace', slot: SLOT.init, flags },
      { op: 'clone', flags: 0, cgroup: NO_SLOT },
    ],
    parent: [{ op: 'waitExecuted' }],
    child: [...early, ...PROGRAM(command)],
  };
}

/** On the host: no namespace at all. */
function plainPlan(command: readonly string[], environment?: readonly string[]): LaunchPlan {
  return {
    before: [{ op: 'clone', flags: 0, cgroup: NO_SLOT }],
    parent: [{ op: 'waitExecuted' }],
    child: PROGRAM(command, environment),
  };
}

async function startContainer(t: TestContext, command: readonly string[]): Promise<Shim> {
  const shim = await startShim(t);
  const { root } = makeRoot(t);
  const started = await shim.control.request(FRAME.start, [planField(smallPlan({ root, command }))]);
  assert.equal(started.type, FRAME.started, textOf(started, FIELD.message));
  return shim;
}

async function ended(shim: Shim): Promise<Frame> {
  return shim.control.event(FRAME.exit);
}

describe('launch plans', { skip: cannotLaunch() }, () => {
  test('a container: the first byte, its code, and its parent is the shim', async (t) => {
    const shim = await startShim(t);
    const { root } = makeRoot(t);
    const client = await shim.attach(7);
    const command = ['/bin/sh', '-c', 'echo first; read x; echo "$x" >&2; exit 7'];
    const started = await shim.control.request(FRAME.start, [
      planField(smallPlan({ root, command })),
      [FIELD.flags, 1],
      [FIELD.logPath, join(shim.directory, 'c-json.log')],
    ]);
    assert.equal(started.type, FRAME.started);
    const pid = intOf(started, FIELD.pid);
    assert.match(readFileSync(`/proc/${pid}/status`, 'utf8'), new RegExp(`^PPid:\\t${shim.pid}$`, 'm'));
    client.sendRaw(FRAME.stdin, Buffer.from('line\n'));
    const { stdout, stderr } = await client.output();
    assert.deepEqual([stdout.toString(), stderr.toString()], ['first\n', 'line\n']);
    const exit = await ended(shim);
    assert.deepEqual([intOf(exit, FIELD.pid), intOf(exit, FIELD.exitCode)], [pid, 7]);
    assert.match(shim.logText(), /"log":"first\\n"/);
  });

  test('a failed operation is told with its place, step, object and errno', async (t) => {
    const shim = await startShim(t);
    const plan = plainPlan(['/bin/true']);
    const child: Operation[] = [
      { op: 'open', slot: 9, at: NO_SLOT, path: '/nowhere/at all', flags: 0, mode: 0, resolve: 0 },
    ];
    const failed = await shim.control.request(FRAME.start, [
      planField({ ...plan, before: [...child, ...plan.before] }),
    ]);
    assert.equal(failed.type, FRAME.failed);
    assert.deepEqual(
      [FIELD.errno, FIELD.list, FIELD.index, FIELD.code].map((field) => intOf(failed, field)),
      [2, 0, 0, 1],
    );
    assert.equal(textOf(failed, FIELD.object), '/nowhere/at all');
    assert.equal((await shim.control.request(FRAME.release)).type, FRAME.ok);
  });

  test('broken plans are refused, and the shim lives on', async (t) => {
    const shim = await startContainer(t, ['/bin/sleep', '1000']);
    const good = encodeLaunchPlan(execPlan(['/bin/true']));
    let round = 0;
    for (let at = 0; at < good.length; at += 7) {
      const bytes = Buffer.from(good);
      bytes[at] = (bytes[at] ?? 0) ^ 0x41;
      const name = `e${round++}`;
      const answer = await shim.control.request(FRAME.exec, [
        [FIELD.execId, name],
        [FIELD.plan, bytes],
      ]);
      assert.ok(answer.type === FRAME.failed || answer.type === FRAME.started, `byte ${at}: ${answer.type}`);
    }
    // Not as the first field, it lies askew.
    const askew = await shim.control.request(FRAME.exec, [
      [FIELD.execId, 'odd'],
      [FIELD.plan, good],
    ]);
    assert.equal(askew.type, FRAME.started);
  });

  test('an operation with more or fewer fields than the shim knows: the whole plan is refused', async (t) => {
    const shim = await startContainer(t, ['/bin/sleep', '1000']);
    const good = encodeLaunchPlan(execPlan(['/bin/true']));
    const end = HEADER_BYTES + good.readUInt32LE(HEADER_BYTES + 4);
    const withFields = (change: number): Buffer => {
      const first = good.subarray(0, change < 0 ? end - FIELD_BYTES : end);
      const plan = Buffer.concat([first, Buffer.alloc(change < 0 ? 0 : FIELD_BYTES), good.subarray(end)]);
      plan.writeUInt32LE(plan.length, 4);
      plan.writeUInt16LE(good.readUInt16LE(HEADER_BYTES + 2) + change, HEADER_BYTES + 2);
      plan.writeUInt32LE(end - HEADER_BYTES + change * FIELD_BYTES, HEADER_BYTES + 4);
      return plan;
    };
    for (const change of [-1, 1]) {
      const answer = await shim.control.request(FRAME.exec, [
        [FIELD.plan, withFields(change)],
        [FIELD.execId, `x${change + 1}`],
      ]);
      assert.deepEqual(
        [
          answer.type,
          intOf(answer, FIELD.errno),
          textOf(answer, FIELD.message),
          textOf(answer, FIELD.object),
        ],
        [FRAME.failed, constants.errno.EINVAL, 'plan', 'a wrong number of fields'],
      );
    }
  });

  test('an exec that is busy and asked again keeps its client, with what that has sent', async (t) => {
    const shim = await startContainer(t, ['/bin/sleep', '1000']);
    // The root of the moment cannot be pivoted to.
    const busy = execPlan(
      ['/bin/true'],
      [
        { op: 'currentRoot', slot: 9 },
        { op: 'pivot', root: 9 },
      ],
    );
    const exec = (plan: LaunchPlan, flags: number): Promise<Frame> =>
      shim.control.request(FRAME.exec, [planField(plan), [FIELD.execId, 'x'], [FIELD.flags, flags]]);
    const client = await shim.attach(7, 'x');
    client.sendRaw(FRAME.stdin, Buffer.from('input\n'));
    const failed = await exec(busy, STDIN_OPEN | ASKED_AGAIN);
    assert.deepEqual([failed.type, intOf(failed, FIELD.errno)], [FRAME.failed, constants.errno.EBUSY]);
    const started = await exec(execPlan(['/bin/sh', '-c', 'read x; echo "got $x"']), STDIN_OPEN);
    assert.equal(started.type, FRAME.started);
    assert.equal((await client.output()).stdout.toString(), 'got input\n');

    const ended = await shim.attach(7, 'x');
    await exec(busy, STDIN_OPEN);
    await ended.output();
    const waits = await shim.attach(7, 'x');
    await exec(busy, STDIN_OPEN | ASKED_AGAIN);
    await shim.control.request(FRAME.signal, [[FIELD.signal, 9]]);
    await waits.output();
  });

  test('a terminal: the size from the first moment, resized, hung up', async (t) => {
    const shim = await startShim(t);
    const { root } = makeRoot(t);
    const client = await shim.attach(7);
    mkdirSync(join(root, 'dev/pts'));
    const plan = smallPlan({
      root,
      command: ['/bin/sh', '-c', 'tty; stty size; read x; stty size; exit 3'],
      child: [
        {
          op: 'makeMount',
          slot: 12,
          type: 'devpts',
          source: 'devpts',
          options: ['newinstance', 'ptmxmode=0666', 'mode=0620'],
          attributes: 0,
        },
        { op: 'attach', slot: 12, root: 10, path: '/dev/pts' },
        { op: 'terminal', slot: 13, root: 10, path: '/dev/pts/ptmx', width: 91, height: 17 },
      ],
    });
    const child = plan.child.map(
      (one): Operation => (one.op === 'stdio' ? { ...one, in: 13, out: 13, err: 13, controlling: 1 } : one),
    );
    const started = await shim.control.request(FRAME.start, [
      planField({ ...plan, child }),
      [FIELD.flags, TERMINAL | 1],
    ]);
    assert.equal(started.type, FRAME.started, textOf(started, FIELD.message));
    let before = '';
    while (!before.includes('91\r\n'))
      before += (await client.take((frame) => frame.type === FRAME.stdout)).payload.toString();
    assert.equal(before, '/dev/pts/0\r\n17 91\r\n');
    await shim.control.request(FRAME.resize, [
      [FIELD.width, 80],
      [FIELD.height, 24],
    ]);
    client.sendRaw(FRAME.stdin, Buffer.from('\r'));
    const { stdout } = await client.output();
    assert.match(stdout.toString(), /24 80\r\n$/);
    assert.equal(intOf(await ended(shim), FIELD.exitCode), 3);
  });

  test('execs: streams, codes, forty at once, some ended before their start is told', async (t) => {
    const shim = await startContainer(t, ['/bin/sleep', '1000']);
    const codes = await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        const answer = await shim.control.request(FRAME.exec, [
          [FIELD.execId, `e${i}`],
          planField(execPlan(['/bin/sh', '-c', `exit ${i}`])),
        ]);
        assert.equal(answer.type, FRAME.started);
        const exit = await shim.control.take(
          (frame) => frame.type === FRAME.execExit && textOf(frame, FIELD.execId) === `e${i}`,
        );
        return intOf(exit, FIELD.exitCode);
      }),
    );
    assert.deepEqual(codes, [...codes.keys()]);
    const client = await shim.attach(6, 'talks');
    await shim.control.request(FRAME.exec, [
      [FIELD.execId, 'talks'],
      planField(execPlan(['/bin/readlink', '/proc/self'])),
    ]);
    assert.match((await client.output()).stdout.toString(), /^\d+\n$/);
  });

  test('the end of a container does not wait for an exec that hangs half-way', async (t) => {
    const shim = await startContainer(t, ['/bin/sleep', '1000']);
    // A child in the container's namespaces that never executes anything, and a start that waits for it.
    const plan = execPlan(['/bin/true'], [{ op: 'wait', point: 3 }]);
    const tag = shim.control.send(FRAME.exec, [[FIELD.execId, 'stuck'], planField(plan)]);
    const children = `/proc/${shim.pid}/task/${shim.pid}/children`;
    // Init, the starter, and the child that it has made.
    assert.ok(await until(() => readFileSync(children, 'utf8').trim().split(' ').length === 3));
    await shim.control.request(FRAME.signal, [[FIELD.signal, 9]]);
    const exit = await ended(shim);
    assert.equal(intOf(exit, FIELD.exitCode), 137);
    const failed = await shim.control.take((frame) => frame.tag === tag);
    assert.equal(failed.type, FRAME.failed);
  });

  test('CANCEL ends what starts and the process with it', async (t) => {
    const shim = await startContainer(t, ['/bin/sleep', '1000']);
    execFileSync('mkfifo', [join(shim.directory, 'never')]);
    // Opening a FIFO that nobody writes to hangs, as a path on a dead server does.
    const hang: Operation = {
      op: 'open',
      slot: 20,
      at: NO_SLOT,
      path: 'never',
      flags: 0,
      mode: 0,
      resolve: 0,
    };
    const plan = plainPlan(['/bin/true']);
    const tag = shim.control.send(FRAME.exec, [
      [FIELD.execId, 'stuck'],
      planField({ ...plan, before: [hang, ...plan.before] }),
    ]);
    const cancelled = await shim.control.request(FRAME.cancel, [[FIELD.execId, 'stuck']]);
    assert.equal(cancelled.type, FRAME.ok);
    assert.equal((await shim.control.take((frame) => frame.tag === tag)).type, FRAME.failed);
    const late = await shim.control.request(FRAME.cancel, [[FIELD.execId, 'stuck']]);
    assert.deepEqual([late.type, intOf(late, FIELD.errno)], [FRAME.error, 3]);
  });

  test('an environment of 2 MB arrives', async (t) => {
    const shim = await startShim(t);
    const environment = Array.from({ length: 20 }, (_, i) => `V${i}=${'x'.repeat(100_000)}`);
    const client = await shim.attach(7);
    const started = await shim.control.request(FRAME.start, [
      planField(plainPlan(['/bin/sh', '-c', 'echo ${#V19}'], environment)),
    ]);
    assert.equal(started.type, FRAME.started, textOf(started, FIELD.message));
    assert.equal((await client.output()).stdout.toString(), '100000\n');
  });
});
