import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cgroupLayout } from './cgroup-layout.ts';
import { parseMountTable } from './mount-table.ts';

const v2Controllers = () => ['cpu', 'memory'];

test('v2 alone', () => {
  const mounts = parseMountTable('30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n');
  const layout = cgroupLayout(mounts, v2Controllers);
  assert.equal(layout.version, 'v2');
  assert.deepEqual(layout.hierarchies, [
    {
      version: 2,
      mountPoint: '/sys/fs/cgroup',
      controllers: ['cpu', 'memory'],
    },
  ]);
});

test('both at once, controllers mounted together, one hierarchy mounted twice', () => {
  const mounts = parseMountTable(
    [
      '33 25 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct',
      '34 25 0:29 / /mnt/again rw - cgroup cgroup rw,cpu,cpuacct',
      '35 25 0:30 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,release_agent=/x,name=systemd',
      '36 25 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw',
    ].join('\n'),
  );
  const layout = cgroupLayout(mounts, v2Controllers);
  assert.equal(layout.version, 'hybrid');
  assert.deepEqual(
    layout.hierarchies.map(({ controllers }) => controllers.join('+')),
    ['cpu+cpuacct', 'name=systemd', 'cpu+memory'],
  );
});

test('inside a container whose mount shows only its own group', () => {
  const mounts = parseMountTable(
    '40 25 0:30 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n',
  );
  assert.equal(cgroupLayout(mounts, v2Controllers).version, 'v1');
});
