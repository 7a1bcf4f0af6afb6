import assert from 'node:assert/strict';
import { test } from 'node:test';
import { amountLine, humanSize, progressBar } from './progress-bar.ts';

test('sizes have four digits and a decimal unit', () => {
  const cases = [
    [0, '0B'],
    [999, '999B'],
    [1000, '1kB'],
    [43_520, '43.52kB'],
    [2_065_328, '2.065MB'],
    [1_419_776, '1.42MB'],
    [520_000_000_000, '520GB'],
  ] as const;
  for (const [bytes, text] of cases) assert.equal(humanSize(bytes), text);
});

test('bars are those of the reference', () => {
  const bar = (filled: number): string => `[${'='.repeat(filled)}>${' '.repeat(50 - filled)}]`;
  assert.equal(progressBar(43_520, 2_065_328), `${bar(1)}  43.52kB/2.065MB`);
  assert.equal(progressBar(1_419_776, 2_065_328), `${bar(34)}   1.42MB/2.065MB`);
  assert.equal(progressBar(2_222_080, 2_065_328), `${bar(50)}  2.222MB`);
  assert.equal(progressBar(512, 0), '    512B');
});

test('the keys of a line come in the order of the reference', () => {
  const line = JSON.stringify(amountLine('0123456789ab', 'Pushing', { current: 1, total: 2 }));
  assert.match(line, /^\{"status":"Pushing","progressDetail":\{"current":1,"total":2\},"progress":"\[/);
  assert.match(line, /,"id":"0123456789ab"\}$/);
});
