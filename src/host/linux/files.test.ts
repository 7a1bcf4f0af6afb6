import assert from 'node:assert/strict';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { FileTree } from '../kernel.ts';
import { createFiles } from './files.ts';
import { scratch, testSys } from './test-support.ts';

const files = createFiles(testSys());

function tree(t: TestContext): { path: string; root: number } {
  const path = scratch(t);
  const root = files.openRoot(path);
  t.after(() => files.close(root));
  return { path, root };
}

const code = (name: string) => (error: unknown) => (error as { code?: string }).code === name;

test('neither dots nor links lead out of the root', (t) => {
  const { path, root } = tree(t);
  mkdirSync(join(path, 'etc'));
  symlinkSync('/etc', join(path, 'absolute'));
  symlinkSync('../../../../etc', join(path, 'relative'));
  symlinkSync('/proc/self/fd/0', join(path, 'magic'));
  writeFileSync(join(path, 'etc', 'passwd'), 'inside');
  assert.equal(files.readFile(root, 'absolute/passwd', 100).toString(), 'inside');
  assert.equal(files.readFile(root, 'relative/passwd', 100).toString(), 'inside');
  assert.equal(files.readFile(root, '/../../etc/passwd', 100).toString(), 'inside');
  files.mkdir(root, 'absolute/new', 0o755);
  assert.ok(existsSync(join(path, 'etc', 'new')));
  assert.throws(() => files.open(root, 'absolute/passwd', { noSymlinks: true }), code('ELOOP'));
  assert.throws(() => files.unlink(root, 'etc/..'), code('EINVAL'));
  assert.throws(() => files.open(root, 'magic'), code('ENOENT'));
  assert.throws(() => files.mkdir(root, 'a\0b', 0o755), code('EINVAL'));
});

test('makes every kind of file with its exact mode', (t) => {
  const { path, root } = tree(t);
  files.mkdir(root, 'd', 0o2777);
  files.mkdir(root, 'd/sticky', 0o1777);
  files.mknod(root, 'd/null', { type: 'character', mode: 0o666, major: 1, minor: 3 });
  files.mknod(root, 'd/big', { type: 'block', mode: 0o600, major: 259, minor: 70000 });
  files.mknod(root, 'd/fifo', { type: 'fifo', mode: 0o622 });
  files.symlink('nowhere', root, 'd/link');
  const fd = files.open(root, 'd/file', { access: 'write', create: true, exclusive: true, mode: 0o666 });
  writeSync(fd, 'text');
  files.close(fd);
  files.link(root, 'd/file', 'd/hard');
  files.link(root, 'd/link', 'd/link2');
  files.chmod(root, 'd/file', 0o4755);
  assert.equal(files.stat(root, 'd').mode, 0o2777);
  assert.equal(files.stat(root, 'd/sticky').mode, 0o1777);
  assert.deepEqual(files.stat(root, 'd/null').rdev, { major: 1, minor: 3 });
  assert.deepEqual(files.stat(root, 'd/big').rdev, { major: 259, minor: 70000 });
  assert.equal(files.stat(root, 'd/fifo').mode, 0o622);
  const facts = files.stat(root, 'd/hard');
  assert.deepEqual([facts.type, facts.mode, facts.links, facts.sizeBytes], ['file', 0o4755, 2, 4]);
  assert.equal(files.readLink(root, 'd/link2').toString(), 'nowhere');
  assert.throws(() => files.chmod(root, 'd/link', 0o600), code('EOPNOTSUPP'));
  const directory = files.open(root, 'd', { directory: true });
  const names = files
    .readDirectory(directory)
    .map((entry) => `${entry.name}:${entry.type}`)
    .sort();
  files.close(directory);
  assert.deepEqual(names, [
    'big:block',
    'fifo:fifo',
    'file:file',
    'hard:file',
    'link2:symlink',
    'link:symlink',
    'null:character',
    'sticky:directory',
  ]);
  assert.equal(files.stat(root, '').inode, BigInt(lstatSync(path).ino));
});

test('owner, times and attributes, on links themselves', (t) => {
  const { path, root } = tree(t);
  writeFileSync(join(path, 'f'), 'x');
  symlinkSync('f', join(path, 'l'));
  files.chown(root, 'l', { uid: 1000, gid: 1001 });
  files.setTimes(root, 'l', { atime: null, mtime: { seconds: -5, nanoseconds: 7 } });
  const link = files.stat(root, 'l');
  assert.deepEqual([link.uid, link.gid, link.mtime], [1000, 1001, { seconds: -5, nanoseconds: 7 }]);
  assert.equal(files.stat(root, 'l', { follow: true }).uid, 0);
  files.setXattr(root, 'f', { name: 'user.long', value: Buffer.alloc(1000, 1) });
  files.setXattr(root, 'l', { name: 'trusted.overlay.test', value: Buffer.from('v') });
  assert.equal(files.getXattr(root, 'f', 'user.long')?.length, 1000);
  assert.equal(files.getXattr(root, 'l', 'trusted.overlay.test')?.toString(), 'v');
  assert.equal(files.getXattr(root, 'f', 'user.none'), null);
  assert.deepEqual(files.listXattrs(root, 'f'), ['user.long']);
  files.removeXattr(root, 'f', 'user.long');
  assert.deepEqual(files.listXattrs(root, 'f'), []);
});

test('names that are no UTF-8 stay what they are', (t) => {
  const { root } = tree(t);
  const name = Buffer.from([0x61, 0xff, 0x2f, 0xfe]);
  files.mkdir(root, name.subarray(0, 2), 0o755);
  files.mknod(root, name, { type: 'file', mode: 0o644 });
  const directory = files.open(root, name.subarray(0, 2), { directory: true });
  assert.deepEqual(files.readDirectory(directory)[0]?.bytes, Buffer.from([0xfe]));
  files.close(directory);
  files.removeTree(root, name.subarray(0, 2));
  assert.throws(() => files.stat(root, name.subarray(0, 2)), code('ENOENT'));
});

test('reads regular files only, within the bound, never waiting for a FIFO', async (t) => {
  const { path, root } = tree(t);
  writeFileSync(join(path, 'f'), 'x'.repeat(5000));
  files.mknod(root, 'fifo', { type: 'fifo', mode: 0o600 });
  assert.equal(files.readFile(root, 'f', 5000).length, 5000);
  assert.throws(() => files.readFile(root, 'f', 4999), code('EFBIG'));
  await assert.rejects(files.slow.readFile(root, 'fifo', 100), code('EINVAL'));
  assert.equal((await files.slow.readFile(root, 'f', 5000)).length, 5000);
});

test('removes a tree without following its links', async (t) => {
  const { path, root } = tree(t);
  const make = (name: string, target: Pick<FileTree, 'mkdir'>): void => {
    target.mkdir(root, name, 0o755);
    for (let i = 0; i < 40; i += 1) {
      files.mkdir(root, `${name}/${i}`, 0o700);
      writeFileSync(join(path, name, String(i), 'f'), '');
      files.symlink('/keep', root, `${name}/${i}/l`);
    }
  };
  mkdirSync(join(path, 'keep'));
  writeFileSync(join(path, 'keep', 'f'), 'k');
  make('a', files);
  make('b', files);
  files.removeTree(root, 'a');
  await files.slow.removeTree(root, 'b');
  await files.slow.removeTree(root, 'never/was');
  assert.ok(!existsSync(join(path, 'a')) && !existsSync(join(path, 'b')));
  assert.equal(readFileSync(join(path, 'keep', 'f'), 'utf8'), 'k');
  symlinkSync('keep', join(path, 'll'));
  files.removeTree(root, 'll');
  assert.throws(() => readlinkSync(join(path, 'll')));
  assert.ok(existsSync(join(path, 'keep', 'f')));
});

test('knows file systems by name', () => {
  assert.equal(files.fileSystemType('/proc'), 'proc');
  assert.equal(files.fileSystemType('/dev/shm'), 'tmpfs');
});

test('a tree deeper than there are descriptors is removed, and none stays open', async (t) => {
  const { path, root } = tree(t);
  const before = process.cwd();
  for (const name of ['now', 'later']) {
    mkdirSync(join(path, name));
    process.chdir(join(path, name));
    for (let level = 0; level < 1500; level++) {
      mkdirSync('d');
      if (level % 500 === 0) writeFileSync('.removed-0', '');
      process.chdir('d');
    }
  }
  process.chdir(before);
  const open = readdirSync('/proc/self/fd').length;
  files.removeTree(root, 'now');
  await files.slow.removeTree(root, 'later');
  assert.deepEqual(readdirSync(path), []);
  assert.equal(readdirSync('/proc/self/fd').length, open);
});

test('times of a descriptor, whatever it was opened for, and a write-back', async (t) => {
  const { path, root } = tree(t);
  writeFileSync(join(path, 'f'), 'x'.repeat(10_000));
  for (const [seconds, access] of [
    [100, 'write'],
    [200, 'path'],
  ] as const) {
    const fd = files.open(root, 'f', { access });
    files.setTimes(fd, '', { atime: null, mtime: { seconds, nanoseconds: 0 } });
    files.close(fd);
    assert.equal(lstatSync(join(path, 'f')).mtimeMs, seconds * 1000);
  }
  files.setTimes(root, '', { atime: null, mtime: { seconds: 300, nanoseconds: 0 } });
  assert.equal(lstatSync(path).mtimeMs, 300_000);
  assert.throws(
    () => files.setTimes(-1, '', { atime: null, mtime: { seconds: 1, nanoseconds: 0 } }),
    code('ENOENT'),
  );
  const fd = files.open(root, 'f', { access: 'write' });
  await files.startWriteBack(fd, { offset: 4096, length: 4096 });
  files.close(fd);
  await assert.rejects(files.startWriteBack(fd, { offset: 0, length: 0 }), code('EBADF'));
});
