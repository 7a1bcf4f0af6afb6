import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SpecResources } from '#oci/runtime-spec.ts';
import { resourceWrites } from './resources.ts';

const lines = (version: 'v1' | 'v2', resources: SpecResources): string[] =>
  resourceWrites(version, resources).map(({ file, value }) => `${file}=${value}`);

test('members that are 0 say nothing, -1 is no limit', () => {
  const resources: SpecResources = {
    memory: { limit: 0, swap: 0, reservation: 0, disableOOMKiller: false },
    cpu: { shares: 0, quota: 0, period: 0, cpus: '' },
    pids: { limit: 0 },
    blockIO: { weight: 0 },
  };
  assert.deepEqual(lines('v1', resources), []);
  assert.deepEqual(lines('v2', resources), []);
  const none: SpecResources = { memory: { limit: -1 }, pids: { limit: -1 }, cpu: { quota: -1 } };
  assert.deepEqual(lines('v1', none), [
    'cpu.cfs_quota_us=-1',
    'memory.memsw.limit_in_bytes=-1',
    'memory.limit_in_bytes=-1',
    'pids.max=max',
  ]);
  assert.deepEqual(lines('v2', none), [
    'pids.max=max',
    'memory.swap.max=max',
    'memory.max=max',
    'cpu.max=max 100000',
  ]);
});

test('everything that v1 has a file for', () => {
  const resources: SpecResources = {
    memory: { limit: 100, swap: 200, reservation: 50, swappiness: 10, disableOOMKiller: true },
    cpu: {
      shares: 512,
      quota: 1000,
      period: 2000,
      burst: 5,
      realtimeRuntime: 6,
      realtimePeriod: 7,
      cpus: '0-1',
      mems: '0',
      idle: 1,
    },
    blockIO: {
      weight: 100,
      leafWeight: 20,
      weightDevice: [{ major: 8, minor: 0, weight: 30, leafWeight: 40 }],
      throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 0 }],
      throttleWriteIOPSDevice: [{ major: 8, minor: 1, rate: 9 }],
    },
    hugepageLimits: [{ pageSize: '2MB', limit: 4096 }],
    network: { classID: 5, priorities: [{ name: 'eth0', priority: 3 }] },
    rdma: { mlx5_1: { hcaHandles: 2, hcaObjects: 3 } },
  };
  assert.deepEqual(lines('v1', resources), [
    'cpu.rt_period_us=7',
    'cpu.rt_runtime_us=6',
    'cpu.shares=512',
    'cpu.cfs_period_us=2000',
    'cpu.cfs_burst_us=5',
    'cpu.cfs_quota_us=1000',
    'cpu.idle=1',
    'cpuset.cpus=0-1',
    'cpuset.mems=0',
    'memory.limit_in_bytes=100',
    'memory.memsw.limit_in_bytes=200',
    'memory.soft_limit_in_bytes=50',
    'memory.oom_control=1',
    'memory.swappiness=10',
    'blkio.weight=100',
    'blkio.bfq.weight=100',
    'blkio.leaf_weight=20',
    'blkio.weight_device=8:0 30',
    'blkio.bfq.weight_device=8:0 30',
    'blkio.leaf_weight_device=8:0 40',
    'blkio.throttle.read_bps_device=8:0 0',
    'blkio.throttle.write_iops_device=8:1 9',
    'hugetlb.2MB.limit_in_bytes=4096',
    'hugetlb.2MB.rsvd.limit_in_bytes=4096',
    'rdma.max=mlx5_1 hca_handle=2 hca_object=3',
    'net_cls.classid=5',
    'net_prio.ifpriomap=eth0 3',
  ]);
});

test('v2 counts swap alone, weighs from 1 to 10000 and has maps of its own', () => {
  const resources: SpecResources = {
    memory: { limit: 100, swap: 250, reservation: 50 },
    cpu: { shares: 262_144, quota: 1000, period: 2000 },
    blockIO: { weight: 1000, throttleWriteBpsDevice: [{ major: 8, minor: 0, rate: 7 }] },
    hugepageLimits: [{ pageSize: '1GB', limit: 0 }],
    unified: { 'memory.high': '90' },
  };
  assert.deepEqual(lines('v2', resources), [
    'memory.swap.max=150',
    'memory.max=100',
    'memory.low=50',
    'io.bfq.weight=1000',
    'io.weight=10000',
    'io.max=8:0 wbps=7',
    'cpu.weight=10000',
    'cpu.max=1000 2000',
    'hugetlb.1GB.max=0',
    'hugetlb.1GB.rsvd.max=0',
    'memory.high=90',
  ]);
  assert.throws(() => lines('v2', { memory: { swap: 1 } }), /unable to set swap limit without memory limit/);
  assert.throws(() => lines('v2', { memory: { limit: 2, swap: 1 } }), /should be >= memory limit/);
  assert.throws(() => lines('v2', { unified: { '../x': '1' } }), /must be a file name \(no slashes\)/);
});

test('v2 without swap accounting: all of it and none of it can be asked for, an amount cannot', () => {
  const ignored = (limit: number, swap: number): unknown =>
    resourceWrites('v2', { memory: { limit, swap } }).find(({ file }) => file === 'memory.swap.max');
  const [file, controller, from] = ['memory.swap.max', '', 'memory.swap'];
  assert.deepEqual(ignored(100, -1), { controller, file, value: 'max', from, ignore: [2] });
  assert.deepEqual(ignored(100, 100), { controller, file, value: '0', from, ignore: [2] });
  assert.deepEqual(ignored(-1, 0), { controller, file, value: 'max', from, ignore: [2] });
  assert.deepEqual(ignored(100, 150), { controller, file, value: '50', from });
});
