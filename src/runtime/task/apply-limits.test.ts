import assert from 'node:assert/strict';
import { test } from 'node:test';
import { applyLimits } from './apply-limits.ts';

/** A cgroup that takes memory with swap only when it is not below memory, as the kernel does. */
function cgroup(files: Record<string, string>, refused = '') {
  const cgroups = {
    version: 'v1' as const,
    read: (_path: string, _controller: string, file: string) => files[file] ?? null,
    write: async (_path: string, _controller: string, { file, value }: { file: string; value: string }) => {
      const next = { ...files, [file]: value };
      const isLess = Number(next['memory.memsw.limit_in_bytes']) < Number(next['memory.limit_in_bytes']);
      if (file === refused || isLess) throw new Error(`${file}: refused`);
      files[file] = value;
    },
  };
  return { cgroups, files };
}

const START = {
  'memory.limit_in_bytes': '100',
  'memory.memsw.limit_in_bytes': '100',
  'cpuset.cpus': '',
  'pids.max': 'max',
};

test('what was there comes back, in an order that the kernel takes', async () => {
  for (const bytes of [50, 200]) {
    const { cgroups, files } = cgroup({ ...START });
    const change = { memoryBytes: bytes, memorySwapBytes: bytes, pidsLimit: 7, cpu: { cpus: '0' } };
    const undo = await applyLimits(cgroups, '/c', change);
    assert.deepEqual(Object.values(files), [String(bytes), String(bytes), '0', '7']);
    await undo();
    assert.deepEqual(files, { ...START, 'cpuset.cpus': '\n' });
  }
});

test('a limit that the kernel refuses leaves the others as they were', async () => {
  const { cgroups, files } = cgroup({ ...START }, 'pids.max');
  const change = { memoryBytes: 50, memorySwapBytes: 50, pidsLimit: 7 };
  await assert.rejects(applyLimits(cgroups, '/c', change), /pids.max: refused/);
  assert.deepEqual(files, START);
});
