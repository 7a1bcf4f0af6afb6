import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { isEngineError } from '#base/errors.ts';
import type { ChainId } from '#oci/chain-id.ts';
import { digestOf } from '#oci/digest.ts';
import type { Intake } from '#storage/intake.ts';
import type { Layer, SnapshotterName, UnpackedLayer } from '#storage/snapshotter.ts';
import type { Storage } from '#storage/storage.ts';
import { digest, tar, type Member } from './archive-builder.ts';
import { commit, fixture, type Fixture } from './storage-fixture.ts';

/** Layers that take something from each other: owners of directories they imply, and of the root. */
const LAYERS: readonly (readonly Member[])[] = [
  [
    { name: './', mode: 0o751, uid: 3, gid: 4 },
    { name: 'srv/', mode: 0o2770, uid: 10, gid: 11 },
    { name: 'srv/data/', mode: 0o1777, uid: 12, gid: 13 },
    { name: 'etc/', mode: 0o755 },
    { name: 'etc/motd', content: 'hello\n' },
    { name: 'link', type: '2', link: 'srv' },
  ],
  [
    { name: 'srv/data/file', content: 'one' },
    { name: 'link/file', content: 'a directory hides the link' },
  ],
  [
    { name: '.', type: '5', mode: 0o711, uid: 1 },
    { name: 'srv/data/.wh.file' },
    { name: 'etc/.wh..wh..opq' },
    { name: 'etc/new', content: 'n' },
    { name: 'late/file', content: 'x' },
    { name: 'late/', mode: 0o700, uid: 7 },
  ],
  [
    { name: 'srv/data/deep/er/file', content: 'two' },
    { name: 'etc/motd', content: 'again' },
  ],
];

/** What the builder gives entries that do not say. */
const MTIME_MS = 1_600_000_000_000;

interface Archive {
  readonly plain: Buffer;
  readonly stored: Buffer;
}

const ARCHIVES: readonly Archive[] = LAYERS.map((members, i) => {
  const plain = tar(members);
  return { plain, stored: [plain, gzipSync(plain), zstdCompressSync(plain)][i % 3] as Buffer };
});

/** Everything that a tree is, in one text. */
function description(root: string, path = '.'): string {
  const stat = lstatSync(join(root, path));
  const isDirectory = stat.isDirectory();
  const content = stat.isFile()
    ? readFileSync(join(root, path), 'utf8')
    : stat.isSymbolicLink()
      ? readlinkSync(join(root, path))
      : stat.rdev;
  const time = stat.mtimeMs === MTIME_MS ? 'as archived' : 'now';
  const line = [path, stat.mode.toString(8), stat.uid, stat.gid, time, isDirectory ? '' : content].join(' ');
  const below = isDirectory ? readdirSync(join(root, path)).sort() : [];
  return [line, ...below.map((name) => description(root, join(path, name)))].join('\n');
}

function trees(fix: Fixture, name: SnapshotterName): string {
  const root = join(fix.root, name === 'overlay2' ? 'overlay2' : 'vfs/dir');
  return readdirSync(root)
    .filter((each) => /^[0-9a-f]{64}$/.test(each))
    .sort()
    .map((each) => description(join(root, each)))
    .join('\n');
}

function staged(fix: Fixture, name: SnapshotterName): string[] {
  const root = join(fix.root, name === 'overlay2' ? 'overlay2' : 'vfs/dir');
  return readdirSync(root).filter((each) => each.startsWith('.staged-'));
}

/** Begins to take an archive in, and to unpack it. */
async function begin(
  storage: Storage,
  archive: Archive,
): Promise<{ readonly intake: Intake; readonly unpacked: Promise<UnpackedLayer> }> {
  const blob = digestOf(archive.stored);
  const intake = await storage.intakes.open({ digest: blob, sizeBytes: archive.stored.length });
  const bytes = { growing: intake.file, digest: blob };
  const unpacked = storage.snapshotter.unpack({ bytes, diffId: digestOf(archive.plain) });
  unpacked.catch(() => undefined);
  return { intake, unpacked };
}

/** A seeded order of 0 … n-1. */
function order(n: number, seed: number): number[] {
  const key = (i: number): string => createHash('sha256').update(`${seed} ${i}`).digest('hex');
  return [...Array(n).keys()].sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

export function unpackConformance(name: SnapshotterName): void {
  orderConformance(name);
  arrivalConformance(name);
  refusalConformance(name);
}

function orderConformance(name: SnapshotterName): void {
  test(`${name}: layers unpacked in any order are what they are one after the other`, async (t) => {
    const reference = await fixture(t, name);
    let parent: ChainId | null = null;
    for (const { plain } of ARCHIVES) parent = (await commit(reference.storage, plain, parent)).chainId;
    const expected = trees(reference, name);
    for (const seed of [1, 2, 3]) {
      const fix = await fixture(t, name);
      const { storage } = fix;
      const unpacked = new Map<number, UnpackedLayer>();
      for (const i of order(ARCHIVES.length, seed)) {
        const archive = ARCHIVES[i] as Archive;
        const coming = await begin(storage, archive);
        await coming.intake.append([archive.stored]);
        coming.intake.end();
        unpacked.set(i, await coming.unpacked);
        await coming.intake.publish();
      }
      let below: ChainId | null = null;
      for (const i of ARCHIVES.keys()) {
        const layer: Layer = await storage.snapshotter.commitUnpacked({
          parent: below,
          unpacked: unpacked.get(i) as UnpackedLayer,
        });
        below = layer.chainId;
      }
      assert.equal(trees(fix, name), expected, `order ${seed}`);
      assert.deepEqual(staged(fix, name), []);
    }
  });

  test(`${name}: layers of one image are committed side by side`, async (t) => {
    const fix = await fixture(t, name);
    const { storage } = fix;
    const blobs = await Promise.all(ARCHIVES.map(({ stored }) => storage.content.ingest(one(stored))));
    const commits: Promise<Layer>[] = [];
    let parent: ChainId | null = null;
    for (const [i, { plain }] of ARCHIVES.entries()) {
      const request = { parent, diffId: digest(plain), blob: (blobs[i] as { digest: Layer['blob'] }).digest };
      commits.push(storage.snapshotter.commitLayer(request), storage.snapshotter.commitLayer(request));
      parent = chainOf(parent, request.diffId);
    }
    const layers = await Promise.all(commits);
    assert.equal(new Set(layers.map((layer) => layer.chainId)).size, ARCHIVES.length);
    assert.deepEqual(staged(fix, name), []);
  });
}

async function* one(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

function chainOf(parent: ChainId | null, diffId: string): ChainId {
  const text = parent === null ? diffId : digestOf(Buffer.from(`${parent} ${diffId}`));
  return text as ChainId;
}

function arrivalConformance(name: SnapshotterName): void {
  test(`${name}: an archive is unpacked while it arrives, byte by byte and from the start again`, async (t) => {
    const { storage } = await fixture(t, name);
    const archive = ARCHIVES[1] as Archive;
    const { intake, unpacked } = await begin(storage, archive);
    const half = archive.stored.length >> 1;
    for (let at = 0; at < half; at += 7)
      await intake.append([archive.stored.subarray(at, Math.min(half, at + 7))]);
    await intake.restart();
    await intake.append([Buffer.alloc(half, 1)]);
    await intake.restart();
    await intake.append([archive.stored]);
    intake.end();
    const layer = await unpacked;
    assert.equal(layer.blobDigest, digestOf(archive.stored));
    assert.equal(layer.diffId, digestOf(archive.plain));
    await intake.publish();
    await storage.snapshotter.commitUnpacked({ parent: null, unpacked: layer });
  });

  test(`${name}: what nobody knows before is told`, async (t) => {
    const { storage } = await fixture(t, name);
    const archive = ARCHIVES[2] as Archive;
    const intake = await storage.intakes.openUnknown();
    const bytes = { growing: intake.file, digest: null };
    const coming = storage.snapshotter.unpack({ bytes, diffId: null });
    await intake.append([archive.stored]);
    intake.end();
    const layer = await coming;
    assert.equal(await intake.digest(), layer.blobDigest);
    await intake.publishAs(layer.blobDigest);
    assert.equal(layer.diffId, digestOf(archive.plain));
    const { sizeBytes } = await storage.snapshotter.commitUnpacked({ parent: null, unpacked: layer });
    assert.equal(sizeBytes, 2);
  });

  test(`${name}: many layers that wait for bytes hold up none that has them`, async (t) => {
    const { storage } = await fixture(t, name);
    const comings = [];
    for (const archive of ARCHIVES.slice(0, 3)) comings.push(await begin(storage, archive));
    const last = ARCHIVES[3] as Archive;
    const { intake, unpacked } = await begin(storage, last);
    await intake.append([last.stored]);
    intake.end();
    await (await unpacked).discard();
    for (const coming of comings) {
      coming.intake.fail();
      await assert.rejects(coming.unpacked, (error) => isEngineError(error, 'unavailable'));
      await coming.intake.close('discard');
    }
  });
}

function refusalConformance(name: SnapshotterName): void {
  test(`${name}: bytes with another digest are told from a bad archive, and nothing is left`, async (t) => {
    const fix = await fixture(t, name);
    const { storage } = fix;
    for (const archive of ARCHIVES.slice(0, 3)) {
      for (const at of [0, 1, archive.stored.length >> 1, archive.stored.length - 1]) {
        const { intake, unpacked } = await begin(storage, archive);
        const changed = Buffer.from(archive.stored);
        changed.writeUInt8(changed.readUInt8(at) ^ 0xff, at);
        await intake.append([changed]);
        intake.end();
        await assert.rejects(unpacked, { kind: 'invalidArgument', code: 'DIGEST_MISMATCH' }, `byte ${at}`);
        await intake.close('discard');
      }
    }
    const bad = Buffer.from('not an archive at all'.repeat(100));
    const { intake, unpacked } = await begin(storage, { plain: bad, stored: gzipSync(bad) });
    await intake.append([gzipSync(bad)]);
    intake.end();
    await assert.rejects(unpacked, (error) => isEngineError(error, 'invalidArgument') && !('code' in error));
    await intake.close('discard');
    assert.deepEqual(await storage.intakes.partials(), []);
    assert.deepEqual(staged(fix, name), []);
  });

  test(`${name}: an unpack that is given up ends at once, also while it waits, and leaves nothing`, async (t) => {
    const fix = await fixture(t, name);
    const archive = ARCHIVES[0] as Archive;
    const blob = digestOf(archive.stored);
    const intake = await fix.storage.intakes.open({ digest: blob, sizeBytes: archive.stored.length });
    const stop = new AbortController();
    const unpacked = fix.storage.snapshotter.unpack({
      bytes: { growing: intake.file, digest: blob },
      diffId: null,
      signal: stop.signal,
    });
    await intake.append([archive.stored.subarray(0, 1024)]);
    stop.abort(new Error('given up'));
    await assert.rejects(unpacked, /given up/);
    await intake.close('keep');
    assert.equal((await fix.storage.intakes.partials())[0]?.sizeBytes, 1024);
    assert.deepEqual(staged(fix, name), []);
  });
}
