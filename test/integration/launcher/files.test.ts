/** Paths of an image, files of the kernel, trees of others: the operations on files. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { NO_SLOT, type Operation } from '../../../src/runtime/launch-plan/operations.ts';
import { cannotLaunch, launch, makeRoot, smallPlan } from './launch-command.ts';

const { errno } = constants;
const skip = cannotLaunch();
const PATH_DIRECTORY = 0o10200000;
const TMPFS_MAGIC = 0x01021994;
const UNIFIED = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup'].find((path) =>
  existsSync(join(path, 'cgroup.controllers')),
);

const openRoot = (path: string): Operation => ({
  op: 'open',
  slot: 20,
  at: NO_SLOT,
  path,
  flags: PATH_DIRECTORY,
  mode: 0,
  resolve: 0,
});

/** Only the list `before`, with the root in slot 20: the failure, if any. */
async function before(directory: string, root: string, operations: readonly Operation[]) {
  const plan = { before: [openRoot(root), ...operations], parent: [], child: [] };
  const outcome = await launch(directory, plan, { words: [] });
  return outcome.failure === undefined ? undefined : { ...outcome.failure };
}

const makePath = (path: string): Operation => ({ op: 'makePath', root: 20, path });

test('a path of the image is made inside of its root, whatever its links say', { skip }, async (t) => {
  const { directory, root } = makeRoot(t);
  const outside = join(directory, 'outside');
  mkdirSync(outside);
  symlinkSync(outside, join(root, 'absolute'));
  symlinkSync('../../../../../../..', join(root, 'up'));
  symlinkSync('dangling/target', join(root, 'tmp/relative'));
  symlinkSync('/elsewhere/deep', join(root, 'dangling-file'));
  symlinkSync('tmp/second', join(root, 'first'));
  symlinkSync('/third', join(root, 'tmp/second'));
  const deep = 'n/'.repeat(300);
  const paths = [
    '/absolute/a',
    'up/b/c',
    '/tmp/relative/d',
    '/tmp/../e//f/.',
    '/tmp/x/../y',
    'first/g',
    deep,
  ];
  const made = paths.map(makePath);
  const node: Operation = { op: 'makeLink', root: 20, path: 'up/b/link', target: '/etc' };
  assert.equal(await before(directory, root, [...made, node]), undefined);
  const there = ['b/c', 'tmp/dangling/target/d', 'e/f', 'tmp/y', 'third/g', deep, 'b/link'];
  for (const path of [`${outside}/a`, ...there]) assert.ok(lstatSync(join(root, path)), path);
  assert.deepEqual(readdirSync(outside), []);
  assert.equal(lstatSync(join(root, 'b/c')).mode & 0o777, 0o755);
});

test('a path that cannot be made says why', { skip }, async (t) => {
  const { directory, root } = makeRoot(t);
  symlinkSync('loop-b', join(root, 'loop-a'));
  symlinkSync('loop-a', join(root, 'loop-b'));
  for (let i = 0; i < 45; i++) symlinkSync(`chain${i + 1}`, join(root, `chain${i}`));
  writeFileSync(join(root, 'file'), '');
  const cases: readonly (readonly [string, number])[] = [
    ['loop-a/x', errno.ELOOP],
    ['chain0/x', errno.ELOOP],
    ['file/x', errno.ENOTDIR],
    [`${'n'.repeat(256)}/x`, errno.ENAMETOOLONG],
    ['x/'.repeat(2500), errno.ENAMETOOLONG],
  ];
  for (const [path, expected] of cases) {
    const failure = await before(directory, root, [makePath(path)]);
    assert.equal(failure?.errno, expected, path.slice(0, 20));
    assert.equal(failure?.object, path.slice(0, 1023));
  }
});

test('below a slot nothing outside of it is opened or written', { skip }, async (t) => {
  const { directory, root } = makeRoot(t);
  const secret = join(directory, 'secret');
  writeFileSync(secret, 'before');
  symlinkSync('../secret', join(root, 'climb'));
  symlinkSync(secret, join(root, 'jump'));
  symlinkSync('/proc/self/root', join(root, 'magic'));
  for (const path of ['climb', 'jump', '../secret', `magic${secret}`]) {
    const write: Operation = { op: 'writeFile', at: 20, path, value: Buffer.from('AFTER!') };
    assert.equal((await before(directory, root, [write]))?.errno, errno.ENOENT, path);
    const open: Operation = { op: 'open', slot: 21, at: 20, path, flags: 0, mode: 0, resolve: 0 };
    assert.equal((await before(directory, root, [open]))?.errno, errno.ENOENT, path);
  }
  assert.equal(readFileSync(secret, 'utf8'), 'before');
});

test('directories are made, files written, content inherited from the top down', { skip }, async (t) => {
  const { directory, root } = makeRoot(t);
  const top = join(directory, 'top');
  mkdirSync(join(top, 'a/b'), { recursive: true });
  writeFileSync(join(top, 'cpus'), '0-3\n');
  for (const name of ['a', 'a/b']) writeFileSync(join(top, name, 'cpus'), '\n');
  mkdirSync(join(top, 'b/c'), { recursive: true });
  writeFileSync(join(top, 'b/cpus'), '7\n');
  writeFileSync(join(top, 'b/c/cpus'), '9\n');
  writeFileSync(join(root, 'tmp/value'), '....');
  const failure = await before(directory, root, [
    { op: 'makeDirectory', path: join(top, 'host'), mode: 0o711 },
    { op: 'writeFile', at: 20, path: 'tmp/value', value: Buffer.from('in') },
    { op: 'makeDirectory', path: join(top, 'new/and/deep'), mode: 0o755 },
    { op: 'inheritFile', path: join(top, 'a/b/cpus') },
    { op: 'inheritFile', path: join(top, 'b/c/cpus') },
  ]);
  assert.equal(failure, undefined);
  assert.equal(lstatSync(join(top, 'host')).mode & 0o777, 0o711);
  assert.equal(readFileSync(join(root, 'tmp/value'), 'utf8'), 'in..');
  assert.deepEqual(
    ['a', 'a/b'].map((name) => readFileSync(join(top, name, 'cpus'), 'utf8').slice(0, 3)),
    ['0-3', '0-3'],
  );
  assert.equal(readFileSync(join(top, 'b/c/cpus'), 'utf8'), '9\n', 'what has something keeps it');
  assert.ok(lstatSync(join(top, 'new/and/deep')).isDirectory());
  const lost = await before(directory, root, [{ op: 'inheritFile', path: join(top, 'none/cpus') }]);
  assert.deepEqual([lost?.errno, lost?.step], [errno.ENOENT, 'inherit']);
});

test('files of proc are written only through a true procfs and by no link', { skip }, async (t) => {
  const { directory, root } = makeRoot(t);
  writeFileSync(join(root, 'tmp/oom_score_adj'), 'untouched');
  const proc: Operation = {
    op: 'makeMount',
    slot: 50,
    type: 'proc',
    source: 'proc',
    options: [],
    attributes: 0,
  };
  const write = (operation: Partial<Operation>): Operation =>
    ({
      op: 'writeProcSelf',
      proc: 50,
      name: 'oom_score_adj',
      value: Buffer.from('500'),
      ...operation,
    }) as Operation;
  const run = async (operation: Operation) =>
    launch(
      directory,
      smallPlan({
        root,
        command: ['/bin/cat', '/proc/self/oom_score_adj'],
        before: [openRoot(root)],
        early: [proc, operation],
      }),
    );
  assert.equal((await run(write({}))).stdout, '500\n');
  const cases: readonly (readonly [Operation, number])[] = [
    [write({ proc: 20, name: 'x' }), errno.EPERM],
    [write({ op: 'writeProc', path: 'self/oom_score_adj' }), errno.ELOOP],
    [write({ name: 'cwd/tmp/oom_score_adj' }), errno.ELOOP],
    [write({ op: 'writeProc', proc: 20, path: 'tmp/oom_score_adj' }), errno.EPERM],
    [write({ name: 'absent' }), errno.ENOENT],
  ];
  for (const [operation, expected] of cases) assert.equal((await run(operation)).failure?.errno, expected);
  assert.equal(readFileSync(join(root, 'tmp/oom_score_adj'), 'utf8'), 'untouched');
});

test('a tree of another mount namespace is taken by its kind, by no link', { skip }, async (t) => {
  const { directory, root } = makeRoot(t);
  const shared = join(directory, 'shared');
  mkdirSync(shared);
  symlinkSync(shared, join(directory, 'link'));
  const script = `mount -t tmpfs tmpfs ${shared} && echo there > ${shared}/file && echo ready && exec sleep 60`;
  const donor = spawn('unshare', ['-m', 'sh', '-c', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => donor.kill('SIGKILL'));
  await once(donor.stdout, 'data');
  const take = (path: string, magic = TMPFS_MAGIC): Operation[] => [
    { op: 'open', slot: 22, at: NO_SLOT, path: `/proc/${donor.pid}/ns/mnt`, flags: 0, mode: 0, resolve: 0 },
    { op: 'treeOfNamespace', slot: 23, namespace: 22, path, magic },
  ];
  const attach: Operation = { op: 'attach', slot: 23, root: 10, path: '/tmp/shared' };
  const run = async (path: string, magic?: number) =>
    launch(
      directory,
      smallPlan({
        root,
        before: take(path, magic),
        command: ['/bin/cat', '/tmp/shared/file'],
        child: [
          { op: 'open', slot: 10, at: 10, path: '/', flags: PATH_DIRECTORY, mode: 0, resolve: 0 },
          attach,
        ],
      }),
    );
  assert.equal((await run(shared)).stdout, 'there\n');
  assert.equal((await run(shared, 0x9fa0)).failure?.step, 'file system');
  assert.equal((await run(join(directory, 'link'))).failure?.errno, errno.ELOOP);
});

const noUnified = skip || (UNIFIED === undefined && 'needs cgroup v2');

test('device rules hold for what is born in the cgroup', { skip: noUnified }, async (t) => {
  const { directory, root } = makeRoot(t);
  const cgroup = join(UNIFIED ?? '', `gantry-launch-test-${process.pid}`);
  mkdirSync(cgroup);
  t.after(() => rmdirSync(cgroup));
  // r0 = 0 or 1; exit
  const program = (verdict: number) =>
    Buffer.from([0xb7, 0, 0, 0, verdict, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0]);
  const run = (verdict: number) => {
    const small = smallPlan({
      root,
      command: ['/bin/sh', '-c', 'read line < /proc/self/cgroup; echo "$line"'],
      before: [
        {
          op: 'open',
          slot: 24,
          at: NO_SLOT,
          path: cgroup,
          flags: PATH_DIRECTORY & ~0o10000000,
          mode: 0,
          resolve: 0,
        },
        { op: 'deviceProgram', cgroup: 24, program: program(verdict) },
      ],
      child: [
        { op: 'open', slot: 25, at: 10, path: '/', flags: PATH_DIRECTORY, mode: 0, resolve: 0 },
        {
          op: 'makeNode',
          root: 25,
          path: `/tmp/null${verdict}`,
          mode: 0o20666,
          major: 1,
          minor: 3,
          uid: 0,
          gid: 0,
        },
      ],
    });
    const clone = small.before.map((one) => (one.op === 'clone' ? { ...one, cgroup: 24 } : one));
    return launch(directory, { ...small, before: clone });
  };
  const denied = await run(0);
  assert.deepEqual(
    { ...denied.failure, errno: errno.EPERM, operation: 'makeNode', step: 'mknodat' },
    denied.failure,
  );
  // The first program stays: every one of them has to agree.
  assert.equal((await run(1)).failure?.operation, 'makeNode');
  assert.equal(await before(directory, root, []), undefined);
});
