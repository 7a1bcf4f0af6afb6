import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { createKernel, packageRoot } from '../real.ts';
import { createMounts } from './mounts.ts';
import { parseMountTable } from './mount-table.ts';
import { scratch, testSys } from './test-support.ts';

const { mounts, files, processes, sockets } = createKernel();
const code = (name: string) => (error: unknown) => (error as { code?: string }).code === name;

/** What a detached overlay must not add; other programs may mount things meanwhile. */
function overlays(): string[] {
  return mounts
    .table()
    .filter((entry) => entry.type === 'overlay')
    .map((entry) => entry.mountPoint);
}

function layers(t: TestContext, base = scratch(t)): { lower: string[]; upper: string; work: string } {
  const names = ['top', 'bottom', 'upper', 'work'].map((name) => join(base, name));
  names.forEach((name) => mkdirSync(name, { recursive: true }));
  const [top = '', bottom = '', upper = '', work = ''] = names;
  writeFileSync(join(bottom, 'both'), 'bottom');
  writeFileSync(join(bottom, 'only'), 'bottom');
  writeFileSync(join(top, 'both'), 'top');
  return { lower: [top, bottom], upper, work };
}

test('a detached overlay: the top layer wins, writes go to upper, the mount table stays as it is', async (t) => {
  const options = layers(t);
  const before = overlays();
  const fd = await mounts.overlay(options);
  assert.equal(files.readFile(fd, 'both', 10).toString(), 'top');
  assert.equal(files.readFile(fd, 'only', 10).toString(), 'bottom');
  files.unlink(fd, 'only');
  files.mkdir(fd, 'new', 0o755);
  assert.deepEqual(overlays(), before);
  await files.slow.close(fd);
  assert.ok(existsSync(join(options.upper, 'new')));
  assert.equal(readFileSync(join(options.lower[1] ?? '', 'only'), 'utf8'), 'bottom');
});

test('without upper it is read-only; paths longer than fsconfig takes work', async (t) => {
  const deep = join(scratch(t), 'x'.repeat(120), 'y'.repeat(120), 'z'.repeat(120));
  const { lower, upper, work } = layers(t, deep);
  const readOnly = await mounts.overlay({ lower });
  assert.throws(() => files.mkdir(readOnly, 'new', 0o755), code('EROFS'));
  await files.slow.close(readOnly);
  const writable = await mounts.overlay({ lower, upper, work });
  files.mkdir(writable, 'new', 0o755);
  await files.slow.close(writable);
});

test('many layers, more than an option page holds', async (t) => {
  const base = scratch(t);
  const lower = Array.from({ length: 120 }, (_unused, index) => join(base, String(index).padStart(64, '0')));
  lower.forEach((path) => mkdirSync(path));
  const fd = await mounts.overlay({ lower });
  await files.slow.close(fd);
});

test('a bad overlay is an error that says why, and leaves no descriptor', async (t) => {
  const options = layers(t);
  await assert.rejects(mounts.overlay({ ...options, upper: '/no/such' }), code('ENOENT'));
  await assert.rejects(mounts.overlay({ lower: [] }), code('EINVAL'));
});

test('the shim makes the same mount where fsconfig takes no list of layers', async (t) => {
  const overlayShim = join(packageRoot(), 'dist', 'native', 'gantry-shim');
  const byShim = createMounts({ sys: testSys(), processes, sockets, overlayShim, forceShim: true });
  const options = layers(t);
  const before = overlays();
  const fd = await byShim.overlay(options);
  assert.equal(files.readFile(fd, 'both', 10).toString(), 'top');
  files.mkdir(fd, 'new', 0o755);
  await files.slow.close(fd);
  assert.ok(existsSync(join(options.upper, 'new')));
  assert.deepEqual(overlays(), before);
  await assert.rejects(byShim.overlay({ ...options, upper: '/no/such' }), code('ENOENT'));
});

test('a cloned tree can be attached and detached', async (t) => {
  const base = scratch(t);
  mkdirSync(join(base, 'target'));
  mkdirSync(join(base, 'source'));
  writeFileSync(join(base, 'source', 'f'), 'f');
  const tree = await mounts.cloneTree(join(base, 'source'));
  assert.equal(files.readFile(tree, 'f', 10).toString(), 'f');
  mounts.attach(tree, join(base, 'target'));
  closeSync(tree);
  try {
    assert.equal(readFileSync(join(base, 'target', 'f'), 'utf8'), 'f');
    assert.ok(mounts.table().some((entry) => entry.mountPoint === join(base, 'target')));
  } finally {
    mounts.detach(join(base, 'target'));
  }
});

test('reads blanks in mount points', () => {
  const [entry] = parseMountTable(
    '36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n',
  );
  assert.deepEqual(
    [entry?.mountPoint, entry?.type, entry?.superOptions],
    ['/mnt 2', 'ext3', 'rw,errors=continue'],
  );
});

test('a cloned tree has no peers, although the mounts of the host are shared', (t) => {
  const base = scratch(t);
  mkdirSync(join(base, 'target'));
  // What is attached to a shared mount becomes shared, so that the parent stops it in between.
  const script = `
    const { createKernel } = await import('${import.meta.resolve('../real.ts')}');
    const { mounts } = createKernel();
    const tree = await mounts.cloneTree('${base}');
    process.getBuiltinModule('node:child_process').execFileSync('mount', ['--make-rprivate', '/']);
    mounts.attach(tree, '${base}/target');
    console.log(process.getBuiltinModule('node:fs').readFileSync('/proc/self/mountinfo', 'utf8'));
    process.exit(0);`;
  const shell = 'mount --make-rshared / && exec "$0" --input-type=module -e "$1"';
  const given = ['--mount', 'sh', '-c', shell, process.execPath, script];
  const lines = execFileSync('unshare', given, { encoding: 'utf8' }).split('\n');
  const tree = lines.find((line) => line.includes(` ${base}/target `)) ?? assert.fail('it is attached');
  assert.ok(!tree.includes(' shared:'), tree);
});
