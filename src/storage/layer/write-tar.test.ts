import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { readdirSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { createKernel } from '#host/real.ts';
import type { Files } from '#host/kernel.ts';
import type { TarEntry } from './tar-header.ts';
import { TarParser } from './tar-parser.ts';
import { compareTrees, WasteCount } from './compare-trees.ts';
import { LayerTar, TreeDiff, type TreeChange } from './diff-tree.ts';
import { TreeStack } from './tree-stack.ts';
import { TarTreeWriter, writeTree } from './write-tar.ts';

const { files } = createKernel();

function directory(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'write-tar-'));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

function archiveOf(paths: readonly string[], using: Files = files): Buffer {
  const chunks: Buffer[] = [];
  const stack = new TreeStack(using);
  const root = stack.openRoots(paths);
  writeTree({ stack, root }, new TarTreeWriter(using, (chunk) => chunks.push(chunk)));
  stack.close(root);
  return Buffer.concat(chunks);
}

interface Read extends TarEntry {
  content: string;
}

function entriesOf(archive: Buffer): Map<string, Read> {
  const found = new Map<string, Read>();
  let last: Read | null = null;
  const parser = new TarParser({
    entry: (entry) => found.set(entry.path, (last = { ...entry, content: '' })),
    data: (chunk) => {
      if (last !== null) last.content += chunk.toString('latin1');
    },
    entryEnd: () => undefined,
  });
  parser.push(archive);
  parser.finish();
  return found;
}

function whiteout(path: string, name: string): void {
  const root = files.openRoot(path);
  files.mknod(root, name, { type: 'character', mode: 0, major: 0, minor: 0 });
  files.close(root);
}

function setXattr(path: string, name: string, value: string): void {
  const root = files.openRoot(path.slice(0, path.lastIndexOf('/')));
  files.setXattr(root, path.slice(path.lastIndexOf('/') + 1), { name, value: Buffer.from(value, 'latin1') });
  files.close(root);
}

/** A file capability as the kernel takes it: version 2, CAP_NET_RAW permitted and effective. */
const CAPABILITY = '\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0';

test('every kind of file is written as it is, sockets are left out', async (t) => {
  const path = directory(t);
  mkdirSync(join(path, 'd'));
  chmodSync(join(path, 'd'), 0o1755);
  writeFileSync(join(path, 'd', 'file'), 'hello');
  chownSync(join(path, 'd', 'file'), 3_000_000, 1001);
  chmodSync(join(path, 'd', 'file'), 0o4755);
  linkSync(join(path, 'd', 'file'), join(path, 'd', 'second'));
  symlinkSync('../nowhere', join(path, 'link'));
  const odd = Buffer.concat([Buffer.from(`${path}/`), Buffer.from([0xff, 0xfe])]);
  writeFileSync(odd, 'odd');
  writeFileSync(join(path, 'n'.repeat(255)), 'long name');
  const capable = join(path, 'capable');
  writeFileSync(capable, '');
  setXattr(capable, 'security.capability', CAPABILITY);
  setXattr(capable, 'user.kept', 'yes');
  setXattr(capable, 'trusted.overlay.origin', 'no');
  const root = files.openRoot(path);
  const early = { seconds: -5, nanoseconds: 0 };
  files.setTimes(root, 'capable', { atime: early, mtime: early });
  files.mknod(root, 'pipe', { type: 'fifo', mode: 0o600 });
  files.mknod(root, 'null', { type: 'character', mode: 0o666, major: 1, minor: 3 });
  files.close(root);
  const server = createServer().listen(join(path, 'socket'));
  t.after(() => server.close());

  const open = readdirSync('/proc/self/fd').length;
  const archive = archiveOf([path]);
  assert.equal(readdirSync('/proc/self/fd').length, open);
  const entries = entriesOf(archive);
  assert.deepEqual(
    [...entries.keys()],
    ['capable', 'd/', 'd/file', 'd/second', 'link', 'n'.repeat(255), 'null', 'pipe', '\xff\xfe'],
  );
  assert.deepEqual(
    { mode: entries.get('d/')?.mode, type: entries.get('d/')?.type },
    { mode: 0o1755, type: 'directory' },
  );
  const file = entries.get('d/file');
  assert.deepEqual([file?.content, file?.mode, file?.uid, file?.gid], ['hello', 0o4755, 3_000_000, 1001]);
  assert.deepEqual(
    [entries.get('d/second')?.type, entries.get('d/second')?.linkPath],
    ['hardlink', 'd/file'],
  );
  assert.equal(entries.get('link')?.linkPath, '../nowhere');
  assert.deepEqual([entries.get('null')?.major, entries.get('null')?.minor], [1, 3]);
  assert.equal(entries.get('pipe')?.type, 'fifo');
  assert.equal(entries.get('\xff\xfe')?.content, 'odd');
  const { xattrs, mtime } = entries.get('capable') ?? {};
  assert.deepEqual([...(xattrs?.keys() ?? [])].sort(), ['security.capability', 'user.kept']);
  assert.equal(xattrs?.get('security.capability')?.toString('latin1'), CAPABILITY);
  assert.deepEqual(mtime, { seconds: -5, nanoseconds: 0 });
  // GNU tar reads it as well.
  const listed = execFileSync('tar', ['-t'], { input: archive }).toString().trim().split('\n');
  assert.equal(listed.length, entries.size);
});

test('trees are joined as overlayfs joins them', (t) => {
  const [top, middle, base] = [directory(t), directory(t), directory(t)];
  for (const [path, name] of [
    [base, 'gone'],
    [base, 'kept'],
    [base, 'd/below'],
    [base, 'd/replaced'],
    [base, 'opaque/hidden'],
    [base, 'file/was-directory'],
    [middle, 'd/middle'],
    [top, 'd/replaced'],
    [top, 'opaque/new'],
  ] as const) {
    mkdirSync(join(path, name, '..'), { recursive: true });
    writeFileSync(join(path, name), `${name} of ${path}`);
  }
  writeFileSync(join(middle, 'file'), 'a file now');
  whiteout(middle, 'gone');
  whiteout(join(top, 'd'), 'middle');
  setXattr(join(top, 'opaque'), 'trusted.overlay.opaque', 'y');
  const entries = entriesOf(archiveOf([top, middle, base]));
  assert.deepEqual(
    [...entries.keys()],
    ['d/', 'd/below', 'd/replaced', 'file', 'kept', 'opaque/', 'opaque/new'],
  );
  assert.equal(entries.get('d/replaced')?.content, `d/replaced of ${top}`);
});

test('a file that shrinks or grows while it is read keeps the length in its header', (t) => {
  const path = directory(t);
  writeFileSync(join(path, 'shrinks'), 'x'.repeat(3000));
  writeFileSync(join(path, 'swapped'), 'y');
  writeFileSync(join(path, 'z'), 'after');
  const hasty: Files = {
    ...files,
    stat: (root, name, options) => {
      const found = files.stat(root, name, options);
      if (name === '' && found.sizeBytes === 3000) truncateSync(join(path, 'shrinks'), 10);
      if (name.toString() === 'swapped') {
        rmSync(join(path, 'swapped'));
        symlinkSync('/etc/passwd', join(path, 'swapped'));
      }
      return found;
    },
  };
  const entries = entriesOf(archiveOf([path], hasty));
  assert.deepEqual([...entries.keys()], ['shrinks', 'z']);
  assert.equal(entries.get('shrinks')?.content, `${'x'.repeat(10)}${'\0'.repeat(2990)}`);
  assert.equal(entries.get('z')?.content, 'after');
});

function compared(
  upper: string,
  lowers: readonly string[],
  kind: 'overlay' | 'copy' = 'overlay',
): { changes: readonly TreeChange[]; layer: (excluded?: readonly string[]) => Map<string, Read> } {
  const stack = new TreeStack(files);
  const run = <T>(work: (diff: { upper: number; lowers: readonly number[] }) => T): T => {
    const above = stack.openRoots([upper]);
    const below = stack.openRoots(lowers);
    try {
      return work({ upper: above[0] ?? -1, lowers: below });
    } finally {
      stack.close(above);
      stack.close(below);
    }
  };
  return {
    changes: run((fds) => new TreeDiff(files, { stack, kind, ...fds }).changes()),
    layer: (excluded = []) =>
      run((fds) => {
        const chunks: Buffer[] = [];
        const writer = new TarTreeWriter(files, (chunk) => chunks.push(chunk));
        new LayerTar(files, { pair: { stack, kind, ...fds }, excluded, writer }).write();
        return entriesOf(Buffer.concat(chunks));
      }),
  };
}

const lines = (changes: readonly TreeChange[]): string[] =>
  changes.map(({ path, kind }) => `${'CAD'.charAt(kind)} ${path}`);

function fill(root: string, names: readonly string[], text = 'x'): void {
  for (const name of names) {
    mkdirSync(join(root, name, '..'), { recursive: true });
    writeFileSync(join(root, name), text);
    utimesSync(join(root, name), 1000, 1000);
  }
}

test('changes are those of the reference, in both kinds of trees', (t) => {
  const base = directory(t);
  fill(base, ['etc/group', 'etc/passwd', 'same/file', 'tmp/old', 'dir/a', 'dir/b', 'flip/x', 'mode']);
  const expected = [
    'A added',
    'C dir',
    'D dir/a',
    'D dir/b',
    'A dir/c',
    'C etc',
    'D etc/group',
    'C etc/passwd',
    'C flip',
    'C mode',
    'C tmp',
    'A tmp/d',
    'A tmp/d/f',
  ].sort();
  const sorted = (changes: readonly TreeChange[]): string[] => lines(changes).sort();

  const upper = directory(t);
  fill(upper, ['added', 'tmp/d/f', 'dir/c', 'mode', 'same/file', 'flip']);
  fill(upper, ['etc/passwd'], 'longer');
  chmodSync(join(upper, 'mode'), 0o600);
  whiteout(join(upper, 'etc'), 'group');
  whiteout(upper, 'never-there');
  setXattr(join(upper, 'dir'), 'trusted.overlay.opaque', 'y');
  const overlay = compared(upper, [base]);
  assert.deepEqual(sorted(overlay.changes), expected);
  assert.equal(lines(overlay.changes).indexOf('C tmp') + 1, lines(overlay.changes).indexOf('A tmp/d'));

  const copy = directory(t);
  fill(copy, [
    'added',
    'tmp/d/f',
    'tmp/old',
    'dir/c',
    'mode',
    'same/file',
    'flip',
    '.dockerenv',
    'dev/console',
  ]);
  writeFileSync(join(copy, '.dockerenv'), '');
  writeFileSync(join(copy, 'dev/console'), '');
  fill(copy, ['etc/passwd'], 'longer');
  chmodSync(join(copy, 'mode'), 0o600);
  const whole = compared(copy, [base], 'copy');
  assert.deepEqual(sorted(whole.changes), expected);
  const layer = [...whole.layer().keys()].sort();
  assert.deepEqual(layer, [
    'added',
    'dir/',
    'dir/.wh.a',
    'dir/.wh.b',
    'dir/c',
    'etc/',
    'etc/.wh.group',
    'etc/passwd',
    'flip',
    'mode',
    'tmp/',
    'tmp/d/',
    'tmp/d/f',
  ]);
});

test('a layer has whiteouts for what went, and nothing that only a mount needed', (t) => {
  const [upper, init, base] = [directory(t), directory(t), directory(t)];
  fill(base, ['etc/group', 'real/run/x', 'dir/a']);
  symlinkSync('real', join(base, 'var'));
  fill(upper, [
    'kept',
    'dir/b',
    'mnt/a/b/inside',
    'mine/volume/inside',
    'mine/own',
    'real/run/volume/inside',
  ]);
  whiteout(join(upper, 'mine'), 'gone');
  setXattr(join(upper, 'dir'), 'trusted.overlay.opaque', 'y');
  const { layer } = compared(upper, [init, base]);
  const entries = layer(['/mnt/a/b', '/mine/volume', '/var/run/volume', '/not/there']);
  assert.deepEqual(
    [...entries.keys()],
    ['dir/', 'dir/.wh..wh..opq', 'dir/b', 'kept', 'mine/', 'mine/.wh.gone', 'mine/own'],
  );
  assert.deepEqual(
    [entries.get('mine/.wh.gone')?.type, entries.get('mine/.wh.gone')?.sizeBytes],
    ['file', 0],
  );
});

test('two joined trees are compared, and what is stored in vain is counted', (t) => {
  const [base, middle, top, other] = [directory(t), directory(t), directory(t), directory(t)];
  fill(base, ['d/removed', 'd/replaced', 'd/kept', 'tree/a', 'tree/b/c', 'lost/x'], '12345');
  // Not all of them are open at once.
  for (let at = 0; at < 100; at++) mkdirSync(join(base, 'd', `many-${at}`));
  fill(middle, ['d/replaced', 'middle'], '123');
  whiteout(join(middle, 'd'), 'removed');
  whiteout(middle, 'lost');
  fill(top, ['d/replaced', 'tree/new'], '1');
  setXattr(join(top, 'tree'), 'trusted.overlay.opaque', 'y');
  fill(other, ['d/replaced', 'added/file'], '1234567');

  const stack = new TreeStack(files, 30);
  const joined = stack.openRoots([top, middle, base]);
  const waste = new WasteCount(files, { stack, layers: 3 }).count(joined);
  assert.deepEqual(
    waste.map(({ files: count, sizeBytes, wastedBytes }) => ({ count, sizeBytes, wastedBytes })),
    [
      { count: 2, sizeBytes: 2, wastedBytes: 0 },
      { count: 2, sizeBytes: 6, wastedBytes: 3 },
      { count: 6, sizeBytes: 30, wastedBytes: 25 },
    ],
  );
  assert.deepEqual(waste[1]?.wastedFiles, [{ path: 'd/replaced', sizeBytes: 3 }]);
  const branch = stack.openRoots([other, middle, base]);
  const changes = compareTrees({ files, stack }, joined, branch).map(
    ({ path, kind, sizeBytes }) => `${'CAD'.charAt(kind)} ${path} ${sizeBytes}`,
  );
  assert.deepEqual(changes, [
    'A added 0',
    'A added/file 7',
    'C d/replaced 7',
    'A tree/a 5',
    'A tree/b 0',
    'A tree/b/c 5',
    'D tree/new 1',
  ]);
  assert.deepEqual(compareTrees({ files, stack }, joined, joined), []);
  for (const roots of [joined, branch]) stack.close(roots);
});

test('a walk that would take too many descriptors is given up, and closes them', (t) => {
  const path = directory(t);
  mkdirSync(join(path, 'a/b/c/d/e/f/g/h/i/j'), { recursive: true });
  const open = readdirSync('/proc/self/fd').length;
  const stack = new TreeStack(files, 8);
  const root = stack.openRoots([path]);
  assert.throws(
    () => writeTree({ stack, root }, new TarTreeWriter(files, () => undefined)),
    /nest too deeply/,
  );
  stack.close(root);
  assert.equal(readdirSync('/proc/self/fd').length, open);
});
