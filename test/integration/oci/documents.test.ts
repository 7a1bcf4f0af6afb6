import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { RuntimeSpec } from '#oci/runtime-spec.ts';
import { cannotRun, worldFor } from './world.ts';

const skip = cannotRun();

test('spec writes a bundle’s beginning, which runs', { skip }, async (t) => {
  const world = worldFor(t);
  const bundle = world.bundle(['true']);
  const empty = join(world.directory, 'empty');
  mkdirSync(empty);
  await world.must(['spec', '--bundle', empty]);
  const spec = JSON.parse(readFileSync(join(empty, 'config.json'), 'utf8')) as RuntimeSpec;
  assert.deepEqual(spec.process?.args, ['sh']);
  assert.equal(await world.refused(['spec', '-b', empty]), 'File config.json exists. Remove it first');
  const process_ = { ...spec.process, terminal: false, args: ['sh', '-c', 'hostname; id -u'] };
  const { writeFileSync } = await import('node:fs');
  const cgroupsPath = join(world.cgroup, 'spec');
  writeFileSync(
    join(bundle, 'config.json'),
    JSON.stringify({ ...spec, process: process_, linux: { ...spec.linux, cgroupsPath } }),
  );
  assert.equal(await world.must(['run', '-b', bundle, 'one']), 'gantry\n0\n');
  const rootless = join(world.directory, 'rootless');
  mkdirSync(rootless);
  await world.must(['spec', '--rootless', '-b', rootless]);
  const other = JSON.parse(readFileSync(join(rootless, 'config.json'), 'utf8')) as RuntimeSpec;
  assert.deepEqual(other.linux?.uidMappings, [{ containerID: 0, hostID: 0, size: 1 }]);
  assert.ok(other.linux?.namespaces?.every(({ type }) => type !== 'network'));
});

test('features, version and help', { skip }, async (t) => {
  const world = worldFor(t);
  const features = JSON.parse(await world.must(['features'])) as {
    hooks: string[];
    mountOptions: string[];
    linux: { namespaces: string[]; cgroup: { v1: boolean; v2: boolean; systemd: boolean } };
  };
  assert.equal(features.hooks.length, 6);
  assert.ok(features.mountOptions.includes('rbind') && features.mountOptions.includes('rro'));
  assert.deepEqual(
    [features.linux.cgroup.v1, features.linux.cgroup.v2, features.linux.cgroup.systemd],
    [true, true, false],
  );
  assert.match(await world.must(['--version']), /^gantry-oci version \S+\nspec: 1\.2\.1\n$/);
  assert.match(await world.must(['--help']), /Commands:/);
  assert.match(await world.must(['help', 'exec']), /--process/);
  assert.match(await world.must(['create', '--help']), /--console-socket/);
});
