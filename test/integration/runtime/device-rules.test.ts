import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { SpecDeviceCgroup } from '../../../src/oci/runtime-spec.ts';
import { deviceProgram, deviceWrites } from '../../../src/runtime/device-rules.ts';
import { run } from '../../support/command.ts';

const EPERM = 1;
const NOTHING: SpecDeviceCgroup = { allow: false, access: 'rwm' };
const UNIFIED = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup'].find((path) =>
  existsSync(join(path, 'cgroup.procs')),
);
const DEVICES = '/sys/fs/cgroup/devices';
const isV2 = UNIFIED !== undefined && existsSync(join(UNIFIED, 'cgroup.controllers'));
const ROOT = process.getuid?.() === 0;

interface Case {
  readonly name: string;
  readonly rules: readonly SpecDeviceCgroup[];
  /** Attempt of device-probe.c → errno. */
  readonly expected: Readonly<Record<string, number>>;
}

const KMSG = { major: 1, minor: 11 };

const CASES: readonly Case[] = [
  {
    name: 'the default',
    rules: [NOTHING],
    expected: {
      'b/dev/null': 0,
      'r/dev/urandom': 0,
      'r/dev/kmsg': EPERM,
      'w/dev/kmsg': EPERM,
      'm@:b:8:77': 0,
    },
  },
  {
    name: 'one more, to read',
    rules: [NOTHING, { allow: true, type: 'c', ...KMSG, access: 'r' }],
    expected: { 'r/dev/kmsg': 0, 'w/dev/kmsg': EPERM, 'b/dev/kmsg': EPERM, 'b/dev/zero': 0 },
  },
  {
    name: 'a whole major number',
    rules: [NOTHING, { allow: true, type: 'c', major: 1, minor: -1, access: 'rw' }],
    expected: { 'r/dev/kmsg': 0, 'w/dev/kmsg': 0, 'b/dev/null': 0 },
  },
  {
    name: 'everything',
    rules: [NOTHING, { allow: true, access: 'rwm' }],
    expected: { 'r/dev/kmsg': 0, 'w/dev/kmsg': 0, 'm@:c:10:77': 0 },
  },
  {
    name: 'everything but one, to write',
    rules: [
      { allow: true, access: 'rwm' },
      { allow: false, type: 'c', ...KMSG, access: 'w' },
    ],
    expected: { 'r/dev/kmsg': 0, 'w/dev/kmsg': EPERM, 'b/dev/null': 0, 'm@:b:8:77': 0 },
  },
];

describe('device rules, as the kernel applies them', { skip: !ROOT && 'wants root' }, () => {
  let folder = '';
  let probe = '';
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'gantry-devices-'));
    probe = join(folder, 'probe');
    const source = join(import.meta.dirname, 'device-probe.c');
    const built = await run('cc', ['-std=gnu11', '-Wall', '-Wextra', '-Werror', '-o', probe, source]);
    assert.equal(built.exit, 0, built.stderr);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  async function attempts(cgroup: string, program: string, expected: Case['expected']): Promise<void> {
    const node = join(folder, 'node');
    const wanted = Object.keys(expected).map((attempt) => attempt.replace('@', node));
    const { exit, stdout, stderr } = await run(probe, [cgroup, program, ...wanted]);
    assert.equal(exit, 0, stderr);
    const errnos = stdout.trim().split('\n').map(Number);
    assert.deepEqual(Object.fromEntries(Object.keys(expected).map((key, i) => [key, errnos[i]])), expected);
  }

  for (const [i, { name, rules, expected }] of CASES.entries()) {
    test(`v2: ${name}`, { skip: !isV2 && 'no cgroup v2 here' }, async (t) => {
      const cgroup = join(UNIFIED ?? '', `gantry-devices-${process.pid}-${i}`);
      mkdirSync(cgroup);
      t.after(() => rmdirSync(cgroup));
      const program = join(folder, `program-${i}`);
      writeFileSync(program, deviceProgram(rules));
      await attempts(cgroup, program, expected);
    });

    test(`v1: ${name}`, {
      skip: !existsSync(join(DEVICES, 'devices.list')) && 'no cgroup v1 here',
    }, async (t) => {
      const cgroup = join(DEVICES, `gantry-devices-${process.pid}-${i}`);
      mkdirSync(cgroup);
      t.after(() => rmdirSync(cgroup));
      const writes = deviceWrites(rules);
      for (const { file, value } of writes) writeFileSync(join(cgroup, file), value);
      await attempts(cgroup, '-', expected);
      const list = readFileSync(join(cgroup, 'devices.list'), 'utf8').trim().split('\n');
      const allowed = writes.filter(({ file }) => file === 'devices.allow').map(({ value }) => value);
      assert.deepEqual(list.toSorted(), allowed.toSorted());
    });
  }
});
