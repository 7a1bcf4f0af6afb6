import assert from 'node:assert/strict';
import { test } from 'node:test';
import { containerStats } from './stats.ts';

const V1: Readonly<Record<string, string>> = {
  'cpuacct/cpuacct.usage': '12426811\n',
  'cpuacct/cpuacct.usage_percpu': '8137465 4289346\n',
  'cpuacct/cpuacct.stat': 'user 0\nsystem 1\n',
  'cpu/cpu.stat': 'nr_periods 3\nnr_throttled 1\nthrottled_time 99\n',
  'memory/memory.usage_in_bytes': '458752\n',
  'memory/memory.limit_in_bytes': '9223372036854771712\n',
  'memory/memory.max_usage_in_bytes': '2510848\n',
  'memory/memory.failcnt': '0\n',
  'memory/memory.stat': 'cache 5\nrss 53248\n',
  'cpuset/cpuset.cpus': '0-1,3\n',
  'pids/pids.current': '1\n',
  'pids/pids.max': 'max\n',
  'blkio/blkio.throttle.io_service_bytes': '253:0 Read 4096\n253:0 Write 0\nTotal 4096\n',
};

const V2: Readonly<Record<string, string>> = {
  '/cpu.stat': 'usage_usec 100\nuser_usec 60\nsystem_usec 40\n',
  '/memory.current': '4096\n',
  '/memory.max': 'max\n',
  '/memory.peak': '8192\n',
  '/memory.stat': 'file 12\nanon 5\n',
  '/pids.current': '2\n',
  '/pids.max': '50\n',
  '/io.stat': '253:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n',
};

interface Stats {
  readonly cpu: { readonly usage: object; readonly throttling: object };
  readonly memory: { readonly cache: number; readonly usage: object };
  readonly pids: object;
  readonly blkio: object;
  readonly cpuset: { readonly cpus: number[] };
}

const measured = (version: 'v1' | 'v2', files: Readonly<Record<string, string>>): Stats => {
  const read = (_path: string, controller: string, file: string): string | null =>
    files[`${controller}/${file}`] ?? null;
  return containerStats({ version, read }, '/x') as Stats;
};

test('numbers of cgroup v1, in the shape that callers know', () => {
  const stats = measured('v1', V1);
  assert.deepEqual(stats.cpu, {
    usage: { total: 12_426_811, percpu: [8_137_465, 4_289_346], kernel: 10_000_000, user: 0 },
    throttling: { periods: 3, throttledPeriods: 1, throttledTime: 99 },
  });
  assert.deepEqual(stats.memory.usage, {
    limit: 9_223_372_036_854_771_712,
    usage: 458_752,
    max: 2_510_848,
    failcnt: 0,
  });
  assert.equal(stats.memory.cache, 5);
  assert.deepEqual(stats.cpuset.cpus, [0, 1, 3]);
  assert.deepEqual(stats.pids, { current: 1 });
  assert.deepEqual(stats.blkio, {
    ioServiceBytesRecursive: [
      { major: 253, minor: 0, op: 'Read', value: 4096 },
      { major: 253, minor: 0, op: 'Write', value: 0 },
    ],
  });
});

test('numbers of cgroup v2, in the same shape', () => {
  const stats = measured('v2', V2);
  assert.deepEqual(stats.cpu.usage, { total: 100_000, kernel: 40_000, user: 60_000 });
  assert.deepEqual(stats.memory.usage, {
    limit: 9_223_372_036_854_771_712,
    usage: 4096,
    max: 8192,
    failcnt: 0,
  });
  assert.deepEqual(stats.pids, { current: 2, limit: 50 });
  assert.deepEqual(stats.blkio, {
    ioServiceBytesRecursive: [
      { major: 253, minor: 0, op: 'Read', value: 1 },
      { major: 253, minor: 0, op: 'Write', value: 2 },
    ],
    ioServicedRecursive: [
      { major: 253, minor: 0, op: 'Read', value: 3 },
      { major: 253, minor: 0, op: 'Write', value: 4 },
    ],
  });
});
