/** Entries made many at once, and one by one: the same tree, the same accounts, the same refusals. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { errorMessage } from '#base/errors.ts';
import { createKernel } from '#host/real.ts';
import { LayerWriter, type WhiteoutMode } from '../../src/storage/layer/apply-layer.ts';
import { namingEntries } from '../../src/storage/layer/entry-errors.ts';
import { TarParser } from '../../src/storage/layer/tar-parser.ts';
import { tar, type Member } from '../integration/storage/archive-builder.ts';
import { type Chance, fuzz } from './rounds.ts';

const { files } = createKernel();
const scratch = mkdtempSync(join(tmpdir(), 'gantry-fuzz-batch-'));
after(() => rmSync(scratch, { recursive: true, force: true }));

/** Directories that are only implied have the time of now. */
const STARTED = BigInt(Date.now() - 60_000) * 1_000_000n;
const timeOf = (mtimeNs: bigint): string =>
  mtimeNs > STARTED && mtimeNs < STARTED * 2n ? 'now' : `${mtimeNs}`;

/** What an archive decides of a tree: all but inode numbers and times of change. */
function listing(root: number, path: string, name = ''): string[] {
  const stat = lstatSync(path, { bigint: true });
  const attributes = files.listXattrs(root, name).map((key) => {
    const value = files.getXattr(root, name, key);
    return `${key}=${value?.toString('hex')}`;
  });
  const facts = [
    stat.mode.toString(8),
    stat.uid,
    stat.gid,
    timeOf(stat.mtimeNs),
    stat.rdev,
    ...attributes.sort(),
  ];
  // How large a directory is depends on what was in it.
  if (!stat.isDirectory()) facts.push(stat.size, stat.nlink);
  if (stat.isSymbolicLink()) facts.push(readlinkSync(path));
  if (stat.isFile()) facts.push(createHash('sha1').update(readFileSync(path)).digest('hex'));
  const children = stat.isDirectory() ? readdirSync(path).sort() : [];
  return [
    `${name} ${facts.join(' ')}`,
    ...children.flatMap((child) =>
      listing(root, join(path, child), name === '' ? child : `${name}/${child}`),
    ),
  ];
}

interface Outcome {
  readonly failure: string | null;
  readonly tree: readonly string[];
  readonly accounts: unknown;
}

interface Setting {
  readonly whiteouts: WhiteoutMode;
  /** What the tree holds before. */
  readonly below: Buffer | null;
}

function write(
  archive: Buffer,
  setting: { batched: boolean; whiteouts: WhiteoutMode; root: number },
): LayerWriter {
  const writer = new LayerWriter({ files, lowerRoots: [], ...setting });
  try {
    const parser = new TarParser(namingEntries(writer));
    for (let at = 0; at < archive.length; at += 10_000) parser.push(archive.subarray(at, at + 10_000));
    parser.finish();
    writer.finish();
  } finally {
    writer.close();
  }
  return writer;
}

function apply(archive: Buffer, setting: Setting, batched: boolean): Outcome {
  const path = mkdtempSync(join(scratch, 'tree-'));
  const root = files.openRoot(path);
  const { whiteouts, below } = setting;
  try {
    if (below !== null) write(below, { batched: false, whiteouts, root });
    const { usage, implied, sawRoot } = write(archive, { batched, whiteouts, root });
    // Of the root nothing is said here when the archive does not list it.
    const tree = listing(root, path).slice(sawRoot ? 0 : 1);
    return { failure: null, tree, accounts: { usage, implied, sawRoot } };
  } catch (error) {
    return { failure: errorMessage(error), tree: [], accounts: null };
  } finally {
    files.close(root);
    rmSync(path, { recursive: true, force: true });
  }
}

function assertSame(archive: Buffer, setting: Setting): Outcome {
  const batched = apply(archive, setting, true);
  const single = apply(archive, setting, false);
  // Of several refusals the one that comes first is told, and a batch comes later than a name that is none.
  assert.equal(batched.failure === null, single.failure === null, `${batched.failure} / ${single.failure}`);
  assert.deepEqual(batched.tree, single.tree);
  assert.deepEqual(batched.accounts, single.accounts);
  return batched;
}

const PARTS = ['a', 'b', 'c', 'l', 'm', '\u00e9', 'name with spaces', '.hidden'];
const TYPES = ['0', '0', '0', '0', '5', '5', '2', '2', '1', '3', '6'];

function pathOf(chance: Chance): string {
  return Array.from({ length: 1 + chance.below(3) }, () => chance.pick(PARTS)).join('/');
}

function member(chance: Chance): Member {
  const pax: Record<string, string> = {};
  if (chance.flip(0.1)) pax['SCHILY.xattr.user.x'] = 'y'.repeat(chance.below(100));
  if (chance.flip(0.3)) pax['mtime'] = chance.pick(['0', '-1.5', '1700000000.123456789', '10000000000']);
  if (chance.flip(0.1)) pax['uid'] = '4000000000';
  const path = pathOf(chance);
  const slash = path.lastIndexOf('/') + 1;
  if (chance.flip(0.05)) return { name: `${path.slice(0, slash)}.wh.${path.slice(slash)}` };
  if (chance.flip(0.02)) return { name: `${path}/.wh..wh..opq` };
  const type = chance.pick(TYPES);
  return {
    name: chance.flip(0.02) ? './' : `${path}${type === '5' ? '/' : ''}`,
    type: type === '0' && chance.flip(0.05) ? '7' : type,
    link: chance.pick(['a', 'b', 'c', 'a/b', '.', '..', 'm', 'nowhere']),
    content:
      type === '0' ? Buffer.alloc(chance.flip(0.05) ? 300_000 : chance.below(3000), chance.below(256)) : '',
    mode: chance.pick([0o644, 0o755, 0o600, 0o777, 0o4755, 0o2770, 0o1777, 0]),
    uid: chance.pick([0, 0, 0, 1000]),
    gid: chance.pick([0, 0, 0, 50]),
    major: 1,
    minor: 3,
    ...(Object.keys(pax).length > 0 && { pax }),
  };
}

/** What makes no sense ends an archive; most are to come through. */
function applicable(chance: Chance, count: number): Buffer {
  const members: Member[] = [];
  while (members.length < count) {
    const next = member(chance);
    if (next.type !== '1' || chance.flip(0.3)) members.push(next);
  }
  return tar(members);
}

let whole = 0;
fuzz('the tree is the same whether entries are batched or not', { short: 300, share: 0.5 }, (chance) => {
  const mask = process.umask(chance.pick([0o022, 0, 0o077]));
  try {
    const whiteouts = chance.pick(['overlay', 'merge'] as const);
    const below = chance.flip() ? applicable(chance, 4) : null;
    const { failure } = assertSame(applicable(chance, 1 + chance.below(15)), { whiteouts, below });
    if (failure === null) whole += 1;
  } finally {
    process.umask(mask);
  }
});

test('enough of those archives were sound', () => assert.ok(whole > 50, `${whole}`));

test('batches that fill up, and more directories than stay open', () => {
  const members: Member[] = [];
  for (let i = 0; i < 400; i += 1) members.push({ name: `d${i}/`, mode: 0o750, mtime: i });
  for (let i = 0; i < 400; i += 1) members.push({ name: `d${i}/s/`, mode: 0o700 + (i % 64), mtime: i });
  for (let i = 0; i < 1500; i += 1)
    members.push({ name: `d${(i * 7) % 400}/f${i}`, content: 'x'.repeat(i), mtime: i, uid: i % 3 });
  for (let i = 0; i < 9; i += 1)
    members.push({ name: `large${i}`, content: Buffer.alloc(256 * 1024 - 4 + i, i) });
  for (let i = 0; i < 1200; i += 1)
    members.push({ name: `d1/l${i}`, type: '2', link: 't'.repeat(1 + (i % 99)) });
  const outcome = assertSame(tar(members), { whiteouts: 'overlay', below: null });
  assert.equal(outcome.failure, null);
  assert.equal(outcome.tree.length, 800 + 1500 + 9 + 1200);
});

test('the entry that was refused in a batch is the one that is named', () => {
  const long = 'n'.repeat(300);
  const ordinary = ['a', 'b'].map((name): Member => ({ name, content: name }));
  for (const refused of [
    { name: 'x', pax: { path: long }, content: 'x' },
    { name: 'x', type: '2', link: 'a', pax: { path: long } },
    { name: 'x', type: '5', pax: { path: long } },
  ]) {
    const archive = tar([...ordinary, refused, { name: 'c', content: 'c' }]);
    const outcomes = [true, false].map((batched) =>
      apply(archive, { whiteouts: 'overlay', below: null }, batched),
    );
    assert.match(outcomes[0]?.failure ?? '', /^(openat|symlinkat a|mkdirat) n{300}: file name too long$/);
    assert.equal(outcomes[0]?.failure, outcomes[1]?.failure);
  }
});

test('what is packed wrongly is refused before anything is made', (t) => {
  const path = mkdtempSync(join(scratch, 'tree-'));
  mkdirSync(join(path, 'sub'));
  const root = files.openRoot(path);
  t.after(() => files.close(root));
  const times = { seconds: 1, nanoseconds: 0 };
  const good = {
    kind: 'file',
    directory: root,
    name: 'f',
    mode: 0o644,
    uid: 0,
    gid: 0,
    mtime: times,
  } as const;
  const broken = [
    [{ name: '' }, /without a name/],
    [{ name: '..' }, /is a path/],
    [{ name: '.' }, /is a path/],
    [{ name: 'sub/f' }, /is a path/],
    [{ name: 'a\0b' }, /does not end where it says/],
    [{ directory: -100 }, /out of range/],
    [{ mode: 0o100644 }, /out of range/],
    [{ mtime: { seconds: 0, nanoseconds: 1e9 } }, /out of range/],
    [{ kind: 'symlink' }, /target/],
  ] as const;
  for (const [change, text] of broken) {
    const batch = files.startBatch();
    batch.add(good);
    batch.add({ ...good, ...change });
    assert.throws(() => batch.run(), text);
    assert.deepEqual(readdirSync(path), ['sub']);
  }
  const batch = files.startBatch();
  batch.write(Buffer.from('content'));
  batch.add({ ...good, kind: 'directoryEnd', name: 'sub' });
  assert.throws(() => batch.run(), /a directory with content/);
});
