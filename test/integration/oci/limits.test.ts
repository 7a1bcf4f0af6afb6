import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createKernel } from '#host/real.ts';
import { cannotRun, worldFor } from './world.ts';

const skip = cannotRun();

test('pause freezes, resume lets go; what needs a running container is refused meanwhile', {
  skip,
}, async (t) => {
  const world = worldFor(t);
  await world.must(['run', '-d', '-b', world.bundle(['sleep', '1000']), 'one']);
  assert.equal(await world.refused(['resume', 'one']), 'container not paused');
  await world.must(['pause', 'one']);
  assert.equal(await world.status('one'), 'paused');
  assert.match(await world.refused(['pause', 'one']), /^container not running or created: paused$/);
  const message = 'exec failed: cannot exec in a paused container (use --ignore-paused to override)';
  assert.equal(await world.refused(['exec', 'one', 'true'], { exit: 255 }), message);
  await world.must(['resume', 'one']);
  assert.equal(await world.status('one'), 'running');
  await world.must(['exec', 'one', 'true']);
  await world.must(['pause', 'one']);
  await world.must(['kill', 'one', 'KILL']);
  await world.reaches('one', 'stopped');
  await world.must(['delete', 'one']);
});

test('a paused container can be deleted by force', { skip }, async (t) => {
  const world = worldFor(t);
  await world.must(['run', '-d', '-b', world.bundle(['sleep', '1000']), 'one']);
  await world.must(['pause', 'one']);
  await world.must(['delete', '--force', 'one']);
});

test('limits of the spec are set, and update changes those that it names', { skip }, async (t) => {
  const world = worldFor(t);
  const bundle = world.bundle(['sleep', '1000'], (spec) => {
    spec.linux.resources = {
      ...spec.linux.resources,
      memory: { limit: 64 * 1024 * 1024 },
      pids: { limit: 50 },
      cpu: { shares: 512 },
    };
  });
  await world.must(['run', '-d', '-b', bundle, 'one']);
  const { cgroups } = createKernel();
  const path = join(world.cgroup, bundle.split('/').pop() ?? '');
  const v2 = cgroups.version === 'v2';
  const value = (controller: string, file: string, second: string): string | undefined =>
    (v2 ? cgroups.read(path, '', second) : cgroups.read(path, controller, file))?.trim();
  const memory = (): string | undefined => value('memory', 'memory.limit_in_bytes', 'memory.max');
  const pids = (): string | undefined => value('pids', 'pids.max', 'pids.max');
  assert.deepEqual([memory(), pids()], ['67108864', '50']);
  await world.must(['update', '--memory', '128m', '--pids-limit', '60', 'one']);
  assert.deepEqual([memory(), pids()], ['134217728', '60']);
  await world.must([
    'update',
    '-r',
    world.file('r.json', '{"pids":{"limit":70},"cpu":{"shares":256}}'),
    'one',
  ]);
  assert.deepEqual([memory(), pids()], ['134217728', '70']);
  if (!v2) assert.equal(cgroups.read(path, 'cpu', 'cpu.shares')?.trim(), '256');
  await world.must(['update', '--resources', '-', 'one'], {
    input: world.file('in.json', '{"pids":{"limit":-1}}'),
  });
  assert.equal(pids(), 'max');
  for (const [content, message] of [
    ['{"memory":{"limit":"x"}}', /resources\.memory\.limit: must be a number/],
    ['{"devices":[{"allow":true,"access":"rwm"}]}', /resources\.devices: cannot be updated/],
    ['[]', /resources/],
    ['{', /resources/],
  ] as const) {
    assert.match(await world.refused(['update', '-r', world.file('bad.json', content), 'one']), message);
  }
  assert.match(
    await world.refused(['update', '--cpu-quota', '1', 'one']),
    /failed to update container resources: .*EINVAL/,
  );
  await world.must(['delete', '-f', 'one']);
  assert.equal(await world.refused(['update', '--memory', '1g', 'one']), 'container does not exist');
});

test('events: one measurement, or one after the other until the end', { skip }, async (t) => {
  const world = worldFor(t);
  await world.must(['run', '-d', '-b', world.bundle(['sleep', '1000']), 'one']);
  const stats = JSON.parse(await world.must(['events', '--stats', 'one'])) as {
    type: string;
    id: string;
    data: { memory: { usage: { usage: number } }; pids: { current: number } };
  };
  assert.deepEqual([stats.type, stats.id, stats.data.pids.current], ['stats', 'one', 1]);
  assert.ok(stats.data.memory.usage.usage > 0);
  const following = world.oci(['events', '--interval', '50ms', 'one']);
  await new Promise((resolve) => setTimeout(resolve, 400));
  await world.must(['kill', 'one', 'KILL']);
  const { exit, stdout } = await following;
  assert.equal(exit, 0);
  assert.ok(stdout.trim().split('\n').length >= 2, stdout);
  assert.match(await world.refused(['events', '--interval', '0s', 'one']), /must be greater than 0/);
  await world.must(['delete', 'one']);
});

test('the device rules of the spec hold', { skip }, async (t) => {
  const world = worldFor(t);
  const bundle = world.bundle(
    ['sh', '-c', 'cat < /dev/zero | head -c 1 | wc -c; cat < /dev/kmsg'],
    (spec) => {
      spec.linux.devices = [
        { path: '/dev/kmsg', type: 'c', major: 1, minor: 11, fileMode: 0o666, uid: 0, gid: 0 },
      ];
    },
  );
  const { stderr } = await world.oci(['run', '-b', bundle, 'one']);
  assert.match(stderr, /kmsg: Operation not permitted/);
  assert.equal(existsSync(join(world.root, 'one')), false);
  assert.ok(readFileSync('/proc/self/mountinfo', 'utf8').length > 0);
});
