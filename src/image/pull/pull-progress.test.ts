import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOf } from '#oci/digest.ts';
import type { ImageProgress } from '../image-service.ts';
import { LayerProgress } from './pull-progress.ts';

test('amounts come ten times a second at most, first and last ones always, steps all', () => {
  const clock = { nowMs: 0 };
  const progress = new LayerProgress({ digest: digestOf('x'), sizeBytes: 100 }, () => clock.nowMs);
  const lines: ImageProgress[] = [];
  progress.listen((line) => lines.push(line));
  progress.step('Pulling fs layer');
  for (let current = 1; current <= 100; current++) {
    clock.nowMs += 10;
    progress.amount('Downloading', current);
  }
  progress.step('Download complete');
  const amounts = lines.flatMap(({ progressDetail }) => progressDetail?.current ?? []);
  assert.deepEqual(amounts, [1, 11, 21, 31, 41, 51, 61, 71, 81, 91, 100]);
  assert.equal(lines[0]?.status, 'Pulling fs layer');
  assert.equal(lines.at(-1)?.status, 'Download complete');
});

test('who comes later is told where it stands, and who left hears nothing', () => {
  const progress = new LayerProgress({ digest: digestOf('x'), sizeBytes: 100 });
  progress.step('Waiting');
  const lines: ImageProgress[] = [];
  const leave = progress.listen((line) => lines.push(line));
  assert.deepEqual(
    lines.map(({ status }) => status),
    ['Waiting'],
  );
  leave();
  progress.step('Download complete');
  assert.equal(lines.length, 1);
});

test('while the network is away the seconds are counted down, until it is back', (context) => {
  context.mock.timers.enable({ apis: ['setInterval'] });
  const progress = new LayerProgress({ digest: digestOf('x'), sizeBytes: 100 });
  const lines: ImageProgress[] = [];
  progress.listen((line) => lines.push(line));
  progress.countDown(2900);
  context.mock.timers.tick(10_000);
  progress.countDown(8000);
  context.mock.timers.tick(1000);
  progress.amount('Downloading', 5);
  context.mock.timers.tick(10_000);
  assert.deepEqual(
    lines.map(({ status }) => status),
    [3, 2, 1, 8, 7]
      .map((seconds) => `Retrying in ${seconds} second${seconds === 1 ? '' : 's'}`)
      .concat('Downloading'),
  );
});
