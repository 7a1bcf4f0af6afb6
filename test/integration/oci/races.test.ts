import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { cannotRun, worldFor } from './world.ts';

const skip = cannotRun();

test('of several creations with one name one wins, and its container is whole', { skip }, async (t) => {
  const world = worldFor(t);
  const bundles = [1, 2, 3, 4].map(() => world.bundle(['sleep', '1000']));
  const results = await Promise.all(bundles.map((bundle) => world.oci(['create', '-b', bundle, 'one'])));
  assert.equal(results.filter(({ exit }) => exit === 0).length, 1);
  for (const { exit, stderr } of results) {
    if (exit !== 0) assert.match(stderr, /container with given ID already exists/);
  }
  assert.equal(await world.status('one'), 'created');
  await world.must(['delete', '-f', 'one']);
});

test('of several starts one wins', { skip }, async (t) => {
  const world = worldFor(t);
  await world.must(['create', '-b', world.bundle(['sleep', '1000']), 'one']);
  const results = await Promise.all([1, 2, 3].map(() => world.oci(['start', 'one'])));
  const exits = results.map(({ exit }) => exit).sort((a, b) => a - b);
  assert.deepEqual(exits, [0, 1, 1]);
  assert.equal(await world.status('one'), 'running');
  await world.must(['delete', '-f', 'one']);
});

test('several deletes: one does it, the others find nothing, and poststop runs once', { skip }, async (t) => {
  const world = worldFor(t);
  const log = join(world.directory, 'log');
  const bundle = world.bundle(['sleep', '1000'], (spec) => {
    spec.hooks = {
      poststop: [{ path: '/bin/sh', args: ['sh', '-c', `echo x >> ${log}`], env: ['PATH=/bin'] }],
    };
  });
  await world.must(['run', '-d', '-b', bundle, 'one']);
  await world.must(['kill', 'one', 'KILL']);
  await world.reaches('one', 'stopped');
  const results = await Promise.all([1, 2, 3, 4].map(() => world.oci(['delete', 'one'])));
  assert.equal(results.filter(({ exit }) => exit === 0).length, 1, JSON.stringify(results));
  for (const { exit, stderr } of results) if (exit !== 0) assert.match(stderr, /container does not exist/);
  assert.equal(readFileSync(log, 'utf8'), 'x\n');
});

test('a pid that belongs to somebody else now is never taken for the container', { skip }, async (t) => {
  const world = worldFor(t);
  await world.must(['run', '-d', '-b', world.bundle(['sleep', '1000']), 'one']);
  const file = join(world.root, 'one/state.json');
  const saved = JSON.parse(readFileSync(file, 'utf8')) as { pid: number; startTime: number };
  await world.must(['kill', 'one', 'KILL']);
  await world.reaches('one', 'stopped');
  // This very process has the pid, but another start time.
  writeFileSync(file, JSON.stringify({ ...saved, pid: process.pid }));
  assert.equal(await world.status('one'), 'stopped');
  assert.equal(await world.refused(['kill', 'one', 'KILL']), 'container not running');
  await world.must(['delete', '--force', 'one']);
});

test('a creation that was killed half-way can be deleted by force', { skip }, async (t) => {
  const world = worldFor(t);
  const bundle = world.bundle(['sleep', '1000'], (spec) => {
    spec.hooks = { createRuntime: [{ path: '/bin/sleep', args: ['sleep', '2'] }] };
  });
  const { exit } = await world.oci(['create', '-b', bundle, 'one'], { timeoutMs: 700 });
  assert.notEqual(exit, 0);
  assert.match(await world.refused(['create', '-b', bundle, 'one']), /already exists/);
  await world.must(['delete', '--force', 'one']);
});
