/** `gantry-shim launch` with plans written by hand: who runs, who fails, what is left. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync } from 'node:child_process';
import {
  closeSync,
  constants as fs,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  writeSync,
} from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { constants } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeLaunchPlan } from '../../../src/runtime/launch-plan/encode.ts';
import {
  type LaunchPlan,
  NO_SLOT,
  type Operation,
  SYNC,
} from '../../../src/runtime/launch-plan/operations.ts';
import {
  cannotLaunch,
  launch,
  launchBytes,
  makeRoot,
  outcomeOf,
  placeOf,
  smallPlan,
} from './launch-command.ts';
import { CLONE } from './sandbox.ts';

const { errno, signals } = constants;
const skip = cannotLaunch();
const LIMIT_MS = 5000;
const ROUNDS = 30;
const KILL_WITHIN_MS = 4;

async function until(condition: () => boolean, what: string): Promise<void> {
  const end = Date.now() + LIMIT_MS;
  while (!condition()) {
    if (Date.now() > end) assert.fail(`not within ${LIMIT_MS} ms: ${what}`);
    await sleep(5);
  }
}

function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return text === '' ? [] : text.split(' ').map(Number);
  } catch {
    return [];
  }
}

function isGone(pid: number): boolean {
  try {
    return /^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return true;
  }
}

/** Once there are exactly so many, for a while. */
async function settled(get: () => number[], count: number): Promise<number[]> {
  for (let same = 0; same < 10; await sleep(5)) same = get().length === count ? same + 1 : 0;
  return get();
}

/** Once the command has ended, or its children are what they were for a while. */
async function settledOrGone(command: ChildProcess): Promise<void> {
  for (let last = '', same = 0; same < 6 && command.exitCode === null; await sleep(5)) {
    const now = isGone(command.pid ?? 0) ? '' : childrenOf(command.pid ?? 0).join();
    same = now === last ? same + 1 : 0;
    last = now;
  }
}

function processesNamed(marker: string): boolean {
  return readdirSync('/proc').some((name) => {
    try {
      return /^\d+$/.test(name) && readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(`\0${marker}`);
    } catch {
      return false;
    }
  });
}

async function runs(t: TestContext, parts: Partial<Parameters<typeof smallPlan>[0]>) {
  const { directory, root } = makeRoot(t);
  return launch(directory, smallPlan({ root, command: ['/bin/true'], ...parts }));
}

test('the program runs in namespaces of its own and its code is the command’s', { skip }, async (t) => {
  const script = 'echo $$; hostname; ls /; exit 7';
  const outcome = await runs(t, {
    command: ['/bin/sh', '-c', script],
    early: [{ op: 'hostname', name: 'inside' }],
  });
  assert.deepEqual(outcome.failure, undefined);
  assert.equal(outcome.stdout, '1\ninside\nbin\ndev\nproc\nsys\ntmp\n');
  assert.equal(outcome.exitCode, 7);
  assert.ok((outcome.pid ?? 0) > 1);
});

test('the program gets no descriptor but its streams', { skip }, async (t) => {
  const { directory, root } = makeRoot(t);
  const extra = openSync(root, 'r');
  t.after(() => closeSync(extra));
  const plan = smallPlan({ root, command: ['/bin/sh', '-c', 'ls /proc/1/fd; true'] });
  const outcome = await launch(directory, plan, { descriptors: [extra], words: ['wait', '20=5'] });
  assert.equal(outcome.stdout, '0\n1\n2\n');
});

test('a killed program is 128 and its signal', { skip }, async (t) => {
  const { directory, root } = makeRoot(t);
  const launched = launchBytes(
    directory,
    encodeLaunchPlan(smallPlan({ root, command: ['/bin/sleep', '60'] })),
  );
  const [pid] = await settled(() => childrenOf(launched.process.pid ?? 0), 1);
  process.kill(pid as number, 'SIGKILL');
  assert.equal((await outcomeOf(launched)).exitCode, 128 + signals.SIGKILL);
});

test('a failure names list, index, errno, step and object, in each of the lists', { skip }, async (t) => {
  const { directory, root } = makeRoot(t);
  const missing: Operation = {
    op: 'open',
    slot: 30,
    at: NO_SLOT,
    path: '/absent',
    flags: 0,
    mode: 0,
    resolve: 0,
  };
  const cases: readonly (readonly [keyof LaunchPlan, Operation, object])[] = [
    ['before', missing, { errno: errno.ENOENT, step: 'openat2', object: '/absent' }],
    [
      'parent',
      { op: 'writeChildFile', name: 'uid_map', value: Buffer.from('x') },
      { step: 'write', object: 'uid_map' },
    ],
    ['child', { op: 'close', slot: 900 }, { errno: errno.EBADF, step: 'slot', object: 'an empty slot' }],
  ];
  for (const [list, operation, expected] of cases) {
    const plan = smallPlan({ root, command: ['/bin/true'], [list]: [operation] });
    const outcome = await launch(directory, plan);
    assert.equal(outcome.exitCode, 1);
    const { list: where, index, code, operation: name } = { ...outcome.failure } as Record<string, unknown>;
    assert.deepEqual({ list: where, index, code, operation: name }, placeOf(plan, list, operation.op));
    assert.deepEqual({ ...outcome.failure, ...expected }, outcome.failure);
    assert.equal(outcome.pid, undefined);
  }
  const plan = smallPlan({ root, command: ['/bin/absent "<x>'] });
  const { failure } = await launch(directory, plan);
  const step = { errno: errno.ENOENT, status: 0, step: 'execve', object: '/bin/absent "<x>' };
  assert.deepEqual(failure, { ...placeOf(plan, 'child', 'execute'), ...step });
});

test('an errno that the plan ignores is no failure, another one is', { skip }, async (t) => {
  const { directory, root } = makeRoot(t);
  const write = { op: 'writeFile', at: NO_SLOT, path: '/absent', value: Buffer.from('x') } as const;
  const ignoring = async (...ignore: number[]) =>
    (await launch(directory, smallPlan({ root, command: ['/bin/true'], before: [{ ...write, ignore }] })))
      .exitCode;
  assert.equal(await ignoring(errno.EPERM, errno.EIO, errno.EBUSY, errno.ENOENT), 0);
  assert.equal(await ignoring(errno.EPERM), 1);
});

test('a plan that is none is refused before anything happens', { skip }, async (t) => {
  const { directory, root } = makeRoot(t);
  const plan = encodeLaunchPlan(smallPlan({ root, command: ['/bin/true'] }));
  const outcome = await outcomeOf(launchBytes(directory, plan.subarray(0, plan.length - 8)));
  assert.equal(outcome.exitCode, 1);
  assert.equal(outcome.failure?.step, 'decode');
  assert.equal(outcome.failure?.object, "a length that is not the plan's at byte 0");
});

test('a second clone goes on as the container, under its own pid', { skip }, async (t) => {
  const { directory, root } = makeRoot(t);
  const script = 'echo $$; /bin/sleep 0.1; exit 9';
  const early: Operation[] = [
    { op: 'unshare', flags: CLONE.pid },
    { op: 'cloneAgain', flags: CLONE.uts },
  ];
  const flags = CLONE.mount;
  const launched = launchBytes(
    directory,
    encodeLaunchPlan(smallPlan({ root, flags, early, command: ['/bin/sh', '-c', script] })),
  );
  const outcome = await outcomeOf(launched);
  assert.deepEqual(outcome, { ...outcome, exitCode: 9, stdout: '1\n', failure: undefined });
  const failing = smallPlan({ root, flags, early, command: ['/bin/absent'] });
  assert.equal((await launch(directory, failing)).failure?.operation, 'execute');
});

test('a user namespace runs with the maps that the parent has written', { skip }, async (t) => {
  const map = Buffer.from('0 100000 65536\n');
  const outcome = await runs(t, {
    flags: CLONE.mount | CLONE.pid | CLONE.user,
    parent: [
      { op: 'writeChildFile', name: 'uid_map', value: map },
      { op: 'writeChildFile', name: 'gid_map', value: map },
      { op: 'tell', point: SYNC.mapsWritten },
    ],
    early: [
      { op: 'wait', point: SYNC.mapsWritten },
      { op: 'gid', gid: 0 },
      { op: 'uid', uid: 0 },
    ],
    command: ['/bin/sh', '-c', 'id -u; cat /proc/self/uid_map; stat -c %u /bin/busybox'],
  });
  assert.equal(outcome.failure, undefined);
  assert.match(outcome.stdout, /^0\n\s+0\s+100000\s+65536\n65534\n$/);
});

test('a child that is killed before it executes is a failure', { skip }, async (t) => {
  const { directory, root } = makeRoot(t);
  const early: Operation[] = [{ op: 'wait', point: SYNC.created }];
  const plan = smallPlan({ root, early, command: ['/bin/true'] });
  const launched = launchBytes(directory, encodeLaunchPlan(plan));
  const children = await settled(() => childrenOf(launched.process.pid ?? 0), 2);
  process.kill(Math.max(...children), 'SIGKILL');
  const { failure, exitCode } = await outcomeOf(launched);
  assert.equal(exitCode, 1);
  assert.deepEqual(failure, {
    ...placeOf(plan, 'parent', 'waitExecuted'),
    errno: errno.ECHILD,
    status: 0,
    step: 'sync',
    object: 'child',
  });
});

test('a starter that is killed leaves neither child nor hook', { skip }, async (t) => {
  const { directory, root } = makeRoot(t);
  const pidFile = join(directory, 'hook-pid');
  const hook: Operation = {
    op: 'hook',
    path: '/bin/sh',
    arguments: ['sh', '-c', `echo $$ > ${pidFile}; exec sleep 60`],
    environment: ['PATH=/bin:/usr/bin'],
    timeoutMs: 0,
    beforePid: Buffer.alloc(0),
    afterPid: Buffer.alloc(0),
  };
  const plan = smallPlan({
    root,
    parent: [hook, { op: 'tell', point: SYNC.created }],
    early: [{ op: 'wait', point: SYNC.created }],
    command: ['/bin/sleep', '60'],
  });
  const launched = launchBytes(directory, encodeLaunchPlan(plan));
  await until(() => existsSync(pidFile) && readFileSync(pidFile, 'utf8').endsWith('\n'), 'the hook runs');
  const children = await settled(() => childrenOf(launched.process.pid ?? 0), 2);
  process.kill(Math.min(...children), 'SIGKILL');
  const outcome = await outcomeOf(launched);
  assert.equal(outcome.exitCode, 1);
  assert.equal(outcome.failure?.step, 'starter');
  const all = [...children, Number(readFileSync(pidFile, 'utf8'))];
  await until(() => all.every(isGone), 'every process has ended');
});

test('a created container starts with one byte, and is gone with its reader', { skip }, async (t) => {
  const { directory, root } = makeRoot(t);
  const fifo = join(directory, 'start');
  execFileSync('mkfifo', [fifo]);
  const open = { op: 'open', at: NO_SLOT, path: fifo, mode: 0, resolve: 0 } as const;
  const small = smallPlan({
    root,
    before: [{ ...open, slot: 40, flags: fs.O_RDONLY | fs.O_NONBLOCK }],
    parent: [{ op: 'wait', point: SYNC.created }],
    child: [
      { op: 'tell', point: SYNC.created },
      { op: 'waitStart', slot: 40 },
    ],
    command: ['/bin/sh', '-c', 'echo started > /tmp/mark; exec sleep 60'],
  });
  const plan: LaunchPlan = { ...small, parent: small.parent.filter(({ op }) => op !== 'waitExecuted') };
  const launched = launchBytes(directory, encodeLaunchPlan(plan), { words: [] });
  assert.equal(await launched.ended, 0);
  const { pid } = JSON.parse((await launched.report).toString()) as { pid: number };
  await sleep(50);
  assert.ok(!existsSync(join(root, 'tmp/mark')) && !isGone(pid));
  const writer = openSync(fifo, fs.O_WRONLY | fs.O_NONBLOCK);
  writeSync(writer, '0');
  closeSync(writer);
  await until(() => existsSync(join(root, 'tmp/mark')), 'the program runs');
  process.kill(pid, 'SIGKILL');
  await until(() => isGone(pid), 'it has ended');
  assert.throws(() => openSync(fifo, fs.O_WRONLY | fs.O_NONBLOCK), { code: 'ENXIO' });
});

test('a list of a hundred thousand bytes reaches the program', { skip }, async (t) => {
  const words = Array.from({ length: 5000 }, (_, i) => `word-${i}-${'x'.repeat(12)}`);
  const outcome = await runs(t, { command: ['/bin/sh', '-c', 'echo $#; echo ${4999}', ...words] });
  assert.equal(outcome.stdout, `4999\n${words[4999]}\n`);
});

test('a starter that is killed at any moment leaves no process and no mount', { skip }, async (t) => {
  const { directory, root } = makeRoot(t);
  const marker = `6${process.pid}`;
  const plan = encodeLaunchPlan(smallPlan({ root, command: ['/bin/sleep', marker] }));
  let killed = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const launched = launchBytes(directory, plan);
    const command = launched.process.pid ?? 0;
    let starter: number | undefined;
    await until(() => (starter = childrenOf(command)[0]) !== undefined, 'there is a starter');
    const end = performance.now() + (round / ROUNDS) * KILL_WITHIN_MS;
    while (performance.now() < end);
    try {
      process.kill(starter ?? 0, 'SIGKILL');
    } catch {
      // It has ended before.
    }
    // When it was done before, the container runs, and the command waits for it.
    await settledOrGone(launched.process);
    for (const child of childrenOf(command)) process.kill(child, 'SIGKILL');
    const { failure } = await outcomeOf(launched);
    if (failure !== undefined) killed++;
  }
  assert.ok(killed > 0);
  await until(() => !processesNamed(marker), 'no process is left');
  assert.ok(!readFileSync('/proc/self/mountinfo', 'utf8').includes(directory));
});

test('the console’s socket is connected first, by a path of any length', { skip }, async (t) => {
  const { directory, root } = makeRoot(t);
  const folder = join(directory, 'd'.repeat(120));
  mkdirSync(folder);
  const plan = smallPlan({ root, command: ['/bin/true'] });
  const words = ['wait', `console=${folder}/socket`];
  const refused = await launch(directory, plan, { words });
  assert.deepEqual({ ...refused.failure, list: '', step: 'connect', errno: errno.ENOENT }, refused.failure);
  const here = process.cwd();
  process.chdir(folder);
  t.after(() => process.chdir(here));
  // Its address is too long otherwise.
  const server = createServer().listen('socket');
  t.after(() => server.close());
  const connected = once(server, 'connection');
  const outcome = await launch(directory, plan, { words });
  assert.deepEqual({ ...outcome, exitCode: 0, failure: undefined }, outcome);
  await connected;
});
