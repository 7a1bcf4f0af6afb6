import assert from 'node:assert/strict';
import { test } from 'node:test';
import { limitWrites, type LimitChange } from './limit-writes.ts';

const MIB = 1024 * 1024;
const lines = (version: 'v1' | 'v2', change: LimitChange, now = 0): string[] =>
  limitWrites(version, change, now).map(({ file, value }) => `${file}=${value}`);

test('memory with swap is never asked to be below memory', () => {
  const change = { memoryBytes: 64 * MIB, memorySwapBytes: 64 * MIB };
  const limit = `memory.limit_in_bytes=${64 * MIB}`;
  const swap = `memory.memsw.limit_in_bytes=${64 * MIB}`;
  assert.deepEqual(lines('v1', change, 128 * MIB), [limit, swap]);
  assert.deepEqual(lines('v1', change, 32 * MIB), [swap, limit]);
  assert.deepEqual(lines('v2', change), ['memory.swap.max=0', `memory.max=${64 * MIB}`]);
});

test('processor time, weight and counts in the words of each version', () => {
  const change = { nanoCpus: 250_000_000, cpu: { shares: 1024, cpus: '0-1' }, pidsLimit: 20 };
  assert.deepEqual(lines('v1', change), [
    'cpu.shares=1024',
    'cpu.cfs_period_us=100000',
    'cpu.cfs_quota_us=25000',
    'cpuset.cpus=0-1',
    'pids.max=20',
  ]);
  assert.deepEqual(lines('v2', change), [
    'pids.max=20',
    'cpu.weight=39',
    'cpu.max=25000 100000',
    'cpuset.cpus=0-1',
  ]);
  assert.deepEqual(lines('v2', { pidsLimit: -1 }), ['pids.max=max']);
});
