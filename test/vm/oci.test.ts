import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { worldFor } from '../integration/oci/world.ts';

/** Everything is ten times slower in an emulated machine. */
const PATIENCE_MS = 120_000;
const V2 = '/sys/fs/cgroup';

test('gantry-oci: the life of a container on cgroup v2', async (t) => {
  const world = worldFor(t, PATIENCE_MS);
  const bundle = world.bundle(['sleep', '1000'], (spec) => {
    spec.linux.resources = {
      ...spec.linux.resources,
      memory: { limit: 64 * 1024 * 1024 },
      pids: { limit: 50 },
    };
    spec.linux.devices = [
      { path: '/dev/kmsg', type: 'c', major: 1, minor: 11, fileMode: 0o666, uid: 0, gid: 0 },
    ];
  });
  const group = join(V2, world.cgroup, bundle.split('/').pop() ?? '');
  const value = (file: string): string => readFileSync(join(group, file), 'utf8').trim();
  await world.must(['create', '-b', bundle, 'one']);
  assert.equal(await world.status('one'), 'created');
  await world.must(['start', 'one']);
  const { pid } = await world.state('one');
  assert.deepEqual(
    [value('cgroup.procs'), value('memory.max'), value('pids.max')],
    [String(pid), '67108864', '50'],
  );
  const script = 'cat /proc/self/cgroup; cat < /dev/kmsg; echo -n > /dev/null && echo null';
  const inside = await world.oci(['exec', 'one', 'sh', '-c', script]);
  assert.match(inside.stdout, /^0::\/\nnull\n$/);
  assert.match(inside.stderr, /kmsg: Operation not permitted/);
  await world.must(['update', '--memory', '128m', '--pids-limit', '60', '--cpu-quota', '50000', 'one']);
  assert.deepEqual(
    [value('memory.max'), value('pids.max'), value('cpu.max')],
    ['134217728', '60', '50000 100000'],
  );
  await world.must(['pause', 'one']);
  assert.deepEqual([await world.status('one'), value('cgroup.freeze')], ['paused', '1']);
  await world.must(['resume', 'one']);
  const stats = JSON.parse(await world.must(['events', '--stats', 'one'])) as {
    data: { memory: { usage: { limit: number } }; pids: { current: number; limit: number } };
  };
  assert.deepEqual(
    [stats.data.memory.usage.limit, stats.data.pids],
    [134_217_728, { current: 1, limit: 60 }],
  );
  assert.deepEqual(JSON.parse(await world.must(['ps', '-f', 'json', 'one'])), [pid]);
  // Processes of a cgroup that hands out controllers live in its leaves: the exec follows init.
  mkdirSync(join(group, 'init'));
  writeFileSync(join(group, 'init/cgroup.procs'), String(pid));
  writeFileSync(join(group, 'cgroup.subtree_control'), '+memory');
  assert.equal(await world.must(['exec', 'one', 'cat', '/proc/self/cgroup']), '0::/init\n');
  await world.must(['kill', '--all', 'one', 'KILL']);
  await world.reaches('one', 'stopped');
  await world.must(['delete', 'one']);
});
