import assert from 'node:assert/strict';
import { chownSync, existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { cannotRun, worldFor } from './world.ts';

const skip = cannotRun();
const SHIFT = 100_000;

/** Everything in a tree gets an owner. */
function ownTree(path: string, uid: number): void {
  for (const entry of readdirSync(path, { recursive: true, withFileTypes: true })) {
    if (!entry.isSymbolicLink()) chownSync(join(entry.parentPath, entry.name), uid, uid);
  }
  chownSync(path, uid, uid);
}

test('a container joins namespaces by their paths', { skip }, async (t) => {
  const world = worldFor(t);
  await world.must(['run', '-d', '-b', world.bundle(['sleep', '1000']), 'one']);
  const { pid } = await world.state('one');
  const bundle = world.bundle(['sleep', '1000'], (spec) => {
    spec.linux.namespaces = [
      { type: 'network', path: `/proc/${pid}/ns/net` },
      { type: 'ipc', path: `/proc/${pid}/ns/ipc` },
      { type: 'uts', path: `/proc/${pid}/ns/uts` },
      { type: 'pid', path: `/proc/${pid}/ns/pid` },
      { type: 'mount' },
      { type: 'cgroup' },
    ];
    delete spec.hostname;
  });
  await world.must(['run', '-d', '-b', bundle, 'two']);
  const second = (await world.state('two')).pid;
  for (const name of ['net', 'ipc', 'uts', 'pid']) {
    assert.equal(readlinkSync(`/proc/${second}/ns/${name}`), readlinkSync(`/proc/${pid}/ns/${name}`), name);
  }
  assert.notEqual(readlinkSync(`/proc/${second}/ns/mnt`), readlinkSync(`/proc/${pid}/ns/mnt`));
  assert.equal(await world.must(['exec', 'two', 'hostname']), 'inside\n');
  for (const id of ['two', 'one']) await world.must(['delete', '-f', id]);
});

test('a path that is no such namespace is refused', { skip }, async (t) => {
  const world = worldFor(t);
  for (const path of ['/none', '/proc/self/ns/pid', '/etc/passwd']) {
    const bundle = world.bundle(['true'], (spec) => {
      spec.linux.namespaces = [{ type: 'network', path }, { type: 'mount' }];
    });
    assert.match(await world.refused(['run', '-b', bundle, 'one']), /linux\.namespaces\[0\]|namespace/, path);
  }
});

test('with a user namespace root inside is somebody else outside', { skip }, async (t) => {
  const world = worldFor(t);
  const bundle = world.bundle(
    ['sh', '-c', 'id -u; cat /proc/self/uid_map; echo made > /made; sleep 1000'],
    (spec) => {
      spec.linux.namespaces?.push({ type: 'user' });
      spec.linux.uidMappings = [{ containerID: 0, hostID: SHIFT, size: 65_536 }];
      spec.linux.gidMappings = [{ containerID: 0, hostID: SHIFT, size: 65_536 }];
    },
  );
  ownTree(join(bundle, 'rootfs'), SHIFT);
  const { chmodSync } = await import('node:fs');
  chmodSync(world.directory, 0o755);
  await world.must(['create', '-b', bundle, 'one']);
  await world.must(['start', 'one']);
  const { pid } = await world.state('one');
  assert.match(readFileSync(`/proc/${pid}/status`, 'utf8'), new RegExp(`^Uid:\\t${SHIFT}\\t`, 'm'));
  assert.equal((await world.must(['exec', 'one', 'sh', '-c', 'id -u; cat /made'])).split('\n')[0], '0');
  assert.match(
    await world.must(['exec', 'one', 'cat', '/proc/self/uid_map']),
    new RegExp(`0 +${SHIFT} +65536`),
  );
  assert.equal(existsSync(join(bundle, 'rootfs/made')), true);
  await world.must(['delete', '-f', 'one']);
});

test('a container without a PID namespace of its own takes its other processes along', {
  skip,
}, async (t) => {
  const world = worldFor(t);
  const bundle = world.bundle(['sh', '-c', 'sleep 1000 & sleep 1000 & echo started'], (spec) => {
    spec.linux.namespaces = spec.linux.namespaces?.filter(({ type }) => type !== 'pid') ?? [];
  });
  assert.equal(await world.must(['run', '-b', bundle, 'one']), 'started\n');
});
