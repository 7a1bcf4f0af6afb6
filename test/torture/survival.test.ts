import assert from 'node:assert/strict';
import { test } from 'node:test';
import { busyboxArchive } from '../support/images.ts';
import { fillDisk } from './disk-full.ts';
import { runLifecycles } from './lifecycles.ts';
import { killLoads } from './loads.ts';
import { killUnderLogs } from './log-kills.ts';
import { sweepPoints } from './points.ts';

test('a full disk gives clean errors, and everything works on it and after it', {
  timeout: 100_000,
}, async () => {
  const { archive, reference } = await busyboxArchive();
  assert.deepEqual((await fillDisk({ archive, image: reference })).violations, []);
});

test('no line is lost and the published port answers while the daemon is killed', {
  timeout: 100_000,
}, async () => {
  const { archive, reference } = await busyboxArchive();
  const result = await killUnderLogs({ kills: 3, archive, image: reference });
  assert.deepEqual(result.violations, []);
  assert.ok(result.lines > 100, `${result.lines} lines`);
});

test('four kill points inside of one sequence of operations', { timeout: 150_000 }, async () => {
  const { archive, reference } = await busyboxArchive();
  const seed = 7;
  const result = await sweepPoints({ points: 4, archive, image: reference, seed });
  assert.deepEqual(result.violations, [], `seed ${seed}`);
});

test('killed loads leave whole images or none', { timeout: 100_000 }, async () => {
  const seed = 7;
  assert.deepEqual((await killLoads({ kills: 3, seed })).violations, [], `seed ${seed}`);
});

test('lifecycles in random order leave nothing and never get stuck', { timeout: 150_000 }, async () => {
  const { archive, reference } = await busyboxArchive();
  const seed = 7;
  const { violations } = await runLifecycles({ lifecycles: 60, archive, image: reference, seed });
  assert.deepEqual(violations, [], `seed ${seed}`);
});
