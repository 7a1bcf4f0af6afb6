import assert from 'node:assert/strict';
import { chownSync, closeSync, existsSync, lstatSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createKernel } from '../real.ts';
import { createShiftedOverlays } from './shifted-overlay.ts';
import { scratch, testSys } from './test-support.ts';

const { mounts, files, namespaces } = createKernel();
const HOST_ROOT = { uid: 300_000, gid: 400_000 };
const MAPPINGS = {
  uids: [{ containerId: 0, hostId: HOST_ROOT.uid, size: 65_536 }],
  gids: [{ containerId: 0, hostId: HOST_ROOT.gid, size: 65_536 }],
};
const owner = ({ uid, gid }: { uid: number; gid: number }): [number, number] => [uid, gid];

for (const [way, oldWay] of [
  ['layers by descriptor', false],
  ['layers by name, in a namespace of their own', true],
] as const) {
  test(`${way}: files are seen shifted and lie unshifted on the disk`, async (t) => {
    const base = scratch(t);
    const at = (...names: string[]): string => join(base, ...names);
    for (const name of ['top', 'bottom', 'c/diff', 'c/wk']) mkdirSync(at(name), { recursive: true });
    writeFileSync(at('bottom', 'file'), 'x');
    chownSync(at('bottom', 'file'), 5, 6);
    writeFileSync(at('top', 'gone'), 'x');
    const userns = await namespaces.createUser(MAPPINGS);
    const overlays = createShiftedOverlays(testSys(), [['index', 'off']], oldWay);
    const layers = { lower: [at('top'), at('bottom')], upper: at('c/diff'), work: at('c/wk') };
    const before = mounts.table().length;
    const root = await overlays.mount(layers, { userns, root: HOST_ROOT });
    closeSync(userns);
    try {
      assert.deepEqual(owner(files.stat(root, 'file')), [300_005, 400_006]);
      assert.deepEqual(owner(files.stat(root, '.')), owner(HOST_ROOT));
      // Root of the host is nobody there: it can read, but what it would make belongs to no id.
      assert.throws(() => files.mkdir(root, 'mine', 0o755), { code: 'EOVERFLOW' });
      const inside = files.slowAs(HOST_ROOT);
      await inside.mkdir(root, 'made', 0o755);
      assert.deepEqual(owner(files.stat(root, 'made')), owner(HOST_ROOT));
      files.chmod(root, 'file', 0o600);
      await inside.unlink(root, 'gone');
      assert.equal(mounts.table().length, before);
    } finally {
      await files.slow.close(root);
    }
    assert.deepEqual(owner(statSync(at('c/diff/made'))), [0, 0]);
    assert.deepEqual(owner(statSync(at('c/diff/file'))), [5, 6]);
    assert.deepEqual(owner(statSync(at('c/wk/work'))), [0, 0]);
    assert.ok(lstatSync(at('c/diff/gone')).isCharacterDevice());
    assert.ok(existsSync(at('top/gone')));
  });
}

test('a plain tree through a user namespace, and a network that belongs to one', async (t) => {
  const base = scratch(t);
  writeFileSync(join(base, 'file'), 'x');
  const userns = await namespaces.createUser(MAPPINGS);
  const tree = await mounts.cloneTree(base, { userns });
  assert.deepEqual(owner(files.stat(tree, 'file')), owner(HOST_ROOT));
  closeSync(tree);
  const netns = await namespaces.createNetwork({ userns });
  assert.notEqual(namespaces.identity(netns), namespaces.identity(userns));
  closeSync(netns);
  closeSync(userns);
});

test('mappings that the kernel does not take', async () => {
  const twice = [...MAPPINGS.uids, ...MAPPINGS.uids];
  await assert.rejects(namespaces.createUser({ ...MAPPINGS, uids: twice }), { code: 'EINVAL' });
});
