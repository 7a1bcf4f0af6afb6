import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { newContainerId, type ContainerId } from '#base/ids.ts';
import { isEngineError } from '#base/errors.ts';
import { isKernelError } from '#host/kernel-error.ts';
import type { Files } from '#host/kernel.ts';
import type { ChainId } from '#oci/chain-id.ts';
import type { SnapshotterName } from '#storage/snapshotter.ts';
import { chunks, digest, tar } from './archive-builder.ts';
import { commit, fixture, type Fixture } from './storage-fixture.ts';

const BASE = [
  { name: 'etc/', mode: 0o755 },
  { name: 'etc/motd', content: 'hello\n' },
  { name: 'bin/', mode: 0o755 },
  { name: 'bin/su', content: 'x', mode: 0o4755, uid: 0, gid: 42 },
  { name: 'bin/link', type: '2', link: '/etc/motd' },
  { name: 'bin/hard', type: '1', link: 'etc/motd' },
  { name: 'shared/', mode: 0o2775, gid: 7, mtime: 1_500_000_000 },
  { name: 'shared/file', content: 'y', gid: 0 },
  { name: 'gone/', mode: 0o700 },
  { name: 'gone/a', content: 'a' },
  { name: 'opaque/', mode: 0o755 },
  { name: 'opaque/old', content: 'old' },
];
const UPPER = [
  { name: 'etc/.wh.motd' },
  { name: '.wh.gone' },
  { name: 'opaque/', mode: 0o755 },
  { name: 'opaque/new', content: 'new' },
  { name: 'opaque/.wh..wh..opq' },
  { name: 'implied/by/file', content: 'z' },
];

async function inRootfs<T>(
  fix: Fixture,
  id: ContainerId,
  work: (files: Files, root: number) => T,
): Promise<T> {
  const handle = await fix.storage.snapshotter.rootfs(id);
  try {
    return work(fix.kernel.files, await handle.fd);
  } finally {
    await handle.close();
  }
}

async function container(fix: Fixture, parent: ChainId | null): Promise<ContainerId> {
  const id = newContainerId();
  await fix.storage.snapshotter.createWritable(id, parent);
  return id;
}

const absent = (work: () => unknown): void => assert.throws(work, (error) => isKernelError(error, 'ENOENT'));

/** What every snapshotter must do alike. */
export function snapshotterConformance(name: SnapshotterName): void {
  treeConformance(name);
  lifeConformance(name);
}

/** What containers find in their trees. */
function treeConformance(name: SnapshotterName): void {
  test(`${name}: a layer's files have their owners, modes, times and links`, async (t) => {
    const fix = await fixture(t, name);
    const base = await commit(fix.storage, BASE);
    const id = await container(fix, base.chainId);
    await inRootfs(fix, id, (files, root) => {
      assert.equal(files.readFile(root, 'etc/motd', 100).toString(), 'hello\n');
      assert.equal(files.readFile(root, 'bin/link', 100).toString(), 'hello\n');
      assert.equal(files.stat(root, 'bin/hard').inode, files.stat(root, 'etc/motd').inode);
      const su = files.stat(root, 'bin/su');
      assert.deepEqual([su.mode, su.uid, su.gid, su.mtime.seconds], [0o4755, 0, 42, 1_600_000_000]);
      const shared = files.stat(root, 'shared');
      assert.deepEqual([shared.mode, shared.gid, shared.mtime.seconds], [0o2775, 7, 1_500_000_000]);
      assert.equal(files.stat(root, 'shared/file').gid, 0);
    });
  });

  test(`${name}: whiteouts and opaque directories hide what is below`, async (t) => {
    const fix = await fixture(t, name);
    const base = await commit(fix.storage, BASE);
    const upper = await commit(fix.storage, UPPER, base.chainId);
    const id = await container(fix, upper.chainId);
    await inRootfs(fix, id, (files, root) => {
      absent(() => files.stat(root, 'etc/motd'));
      absent(() => files.stat(root, 'gone'));
      absent(() => files.stat(root, 'opaque/old'));
      assert.equal(files.readFile(root, 'opaque/new', 10).toString(), 'new');
      assert.equal(files.readFile(root, 'implied/by/file', 10).toString(), 'z');
      assert.equal(files.stat(root, 'bin/hard').sizeBytes, 6);
    });
  });

  test(`${name}: containers have mount points of their own and do not see each other`, async (t) => {
    const fix = await fixture(t, name);
    const base = await commit(fix.storage, BASE);
    const [a, b] = [await container(fix, base.chainId), await container(fix, base.chainId)];
    await inRootfs(fix, a, (files, root) => {
      assert.equal(files.stat(root, 'etc/hosts').type, 'file');
      assert.equal(files.stat(root, '.dockerenv').mode, 0o755);
      assert.equal(files.stat(root, 'proc').type, 'directory');
      assert.equal(files.readLink(root, 'etc/mtab').toString(), '/proc/mounts');
      files.mkdir(root, 'mine', 0o755);
      files.unlink(root, 'etc/motd');
    });
    await inRootfs(fix, b, (files, root) => {
      absent(() => files.stat(root, 'mine'));
      assert.equal(files.stat(root, 'etc/motd').sizeBytes, 6);
    });
    await inRootfs(fix, a, (files, root) => assert.equal(files.stat(root, 'mine').type, 'directory'));
  });

  test(`${name}: a container without layers has the mount points only`, async (t) => {
    const fix = await fixture(t, name);
    const id = await container(fix, null);
    await inRootfs(fix, id, (files, root) => assert.equal(files.stat(root, 'dev/console').type, 'file'));
  });
}

/** How layers come and go. */
function lifeConformance(name: SnapshotterName): void {
  test(`${name}: writable layers outlive a restart and are removed without a trace`, async (t) => {
    const fix = await fixture(t, name);
    const base = await commit(fix.storage, BASE);
    const id = await container(fix, base.chainId);
    await inRootfs(fix, id, (files, root) => files.mkdir(root, 'kept', 0o755));
    await fix.reopen();
    const { snapshotter } = fix.storage;
    assert.deepEqual(snapshotter.writables(), [id]);
    await inRootfs(fix, id, (files, root) => assert.equal(files.stat(root, 'kept').type, 'directory'));
    await snapshotter.removeWritable(id);
    await snapshotter.removeWritable(id);
    assert.deepEqual(snapshotter.writables(), []);
    await assert.rejects(snapshotter.rootfs(id), (error) => isEngineError(error, 'notFound'));
    await snapshotter.removeLayer(base.chainId);
    await snapshotter.idle();
    assert.equal(snapshotter.hasLayer(base.chainId), false);
  });

  test(`${name}: a layer with another below it cannot go first`, async (t) => {
    const fix = await fixture(t, name);
    const base = await commit(fix.storage, BASE);
    const upper = await commit(fix.storage, UPPER, base.chainId);
    const { snapshotter } = fix.storage;
    await assert.rejects(snapshotter.removeLayer(base.chainId), (error) => isEngineError(error, 'conflict'));
    await snapshotter.removeLayer(upper.chainId);
    await snapshotter.removeLayer(base.chainId);
    assert.deepEqual(snapshotter.layers(), []);
  });

  test(`${name}: equal commits share one layer; gzip is told by its first bytes`, async (t) => {
    const fix = await fixture(t, name);
    const plain = tar(BASE);
    const { digest: blob } = await fix.storage.content.ingest(chunks(gzipSync(plain)));
    const request = { parent: null, diffId: digest(plain), blob };
    const { snapshotter } = fix.storage;
    const [a, b] = await Promise.all([snapshotter.commitLayer(request), snapshotter.commitLayer(request)]);
    assert.deepEqual(a, b);
    assert.equal(snapshotter.layers().length, 1);
  });

  test(`${name}: an archive that is not what its diffID says leaves nothing`, async (t) => {
    const fix = await fixture(t, name);
    const { digest: blob } = await fix.storage.content.ingest(chunks(tar(BASE)));
    const diffId = digest(Buffer.from('something else'));
    const { snapshotter } = fix.storage;
    await assert.rejects(snapshotter.commitLayer({ parent: null, diffId, blob }), (error) =>
      isEngineError(error, 'invalidArgument'),
    );
    assert.deepEqual(snapshotter.layers(), []);
    assert.deepEqual(snapshotter.writables(), []);
  });

  test(`${name}: after another boot what was not flushed is unpacked again`, async (t) => {
    const fix = await fixture(t, name);
    const base = await commit(fix.storage, BASE);
    const upper = await commit(fix.storage, UPPER, base.chainId);
    const id = await container(fix, upper.chainId);
    await fix.storage.snapshotter.sync();
    await fix.reopen('boot-2');
    assert.equal(fix.storage.snapshotter.layers().length, 2);
    await inRootfs(fix, id, (files, root) => {
      assert.equal(files.readFile(root, 'opaque/new', 10).toString(), 'new');
      absent(() => files.stat(root, 'opaque/old'));
    });
    const usage = await fix.storage.snapshotter.writableUsage(id);
    assert.equal(usage.sizeBytes >= 0, true);
  });
}
