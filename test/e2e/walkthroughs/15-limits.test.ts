import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { e2e } from '../../support/e2e.ts';

const isV1 = existsSync('/sys/fs/cgroup/cpu');

/** Microseconds of CPU time per period that the container may use; -1 without a limit. */
async function quota(parent: string, id: string): Promise<number> {
  if (isV1) return Number(await readFile(`/sys/fs/cgroup/cpu${parent}/${id}/cpu.cfs_quota_us`, 'utf8'));
  const first = (await readFile(`/sys/fs/cgroup${parent}/${id}/cpu.max`, 'utf8')).split(' ')[0];
  return first === 'max' ? -1 : Number(first);
}

e2e('15: limits of CPU and memory; a memory hog ends with OOMKilled and 137', {}, async (daemon) => {
  const parent = daemon.cgroupParent ?? '';
  const limited = await daemon.mustDocker([
    'run',
    '-d',
    '--cpus',
    '.5',
    '-m',
    '256m',
    'busybox',
    'sleep',
    '600',
  ]);
  assert.equal(await quota(parent, limited), 50_000);
  const free = await daemon.mustDocker(['run', '-d', 'busybox', 'sleep', '600']);
  assert.equal(await quota(parent, free), -1);

  const hog = await daemon.docker([
    'run',
    '--name',
    'hog',
    '-m',
    '16m',
    '--memory-swap',
    '16m',
    'busybox',
    'tail',
    '/dev/zero',
  ]);
  assert.equal(hog.exit, 137, hog.stderr);
  const format = '{{.State.OOMKilled}} {{.State.ExitCode}} {{.State.Status}}';
  assert.equal(await daemon.mustDocker(['inspect', '-f', format, 'hog']), 'true 137 exited');
});
