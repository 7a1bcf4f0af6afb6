import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Falls } from './falls.ts';
import { acknowledgedBlobs, sentAgain } from './pushes.ts';
import { type PullPhase, resumed, TAIL_BYTES } from './resume.ts';

const LAYER = `sha256:${'a'.repeat(64)}`;
const SIZE = 6_000_000;
const SIZES = new Map([[LAYER, SIZE]]);

/** A first run that was killed when `had` bytes were on the disk, and what the next one asked for. */
function twoRuns(had: number, sent: number, next: PullPhase['gets']): readonly PullPhase[] {
  const first = { had: new Map<string, number>(), gets: [{ digest: LAYER, offset: 0, sentBytes: sent }] };
  return [first, { had: new Map([[LAYER, had]]), gets: next }];
}

const from = (offset: number): PullPhase['gets'] => [{ digest: LAYER, offset, sentBytes: SIZE - offset }];
const texts = (phases: readonly PullPhase[]): string =>
  resumed(phases, SIZES)
    .violations.map((one) => one.text)
    .join();

test('a pull that goes on where its file ends breaks no rule', () => {
  assert.equal(texts(twoRuns(2_000_000, 2_200_000, from(2_000_000))), '');
  assert.equal(resumed(twoRuns(2_000_000, 2_200_000, from(2_000_000)), SIZES).mostAgain, 200_000);
  assert.equal(texts(twoRuns(SIZE, SIZE, [])), '');
});

test('caught: a pull that begins again from byte 0', () => {
  assert.match(texts(twoRuns(2_000_000, 2_200_000, from(0))), /from 0, 2000000 bytes were here/);
  // However little there was.
  assert.match(texts(twoRuns(10_000, 40_000, from(0))), /from 0, 10000 bytes were here/);
});

test('caught: a daemon that forgets what it had', () => {
  assert.match(texts(twoRuns(0, 2_200_000, from(0))), /2200000 bytes were sent twice/);
  assert.equal(texts(twoRuns(0, TAIL_BYTES, from(0))), '');
});

test('caught: a layer that was here whole, and is fetched again', () => {
  assert.match(texts(twoRuns(SIZE, SIZE, from(0))), /it was here whole/);
});

test('caught: a second request of the same run, for what the first one was sent', () => {
  const part = (offset: number, sentBytes: number) => ({ digest: LAYER, offset, sentBytes });
  const run = (...gets: PullPhase['gets']): string => texts([{ had: new Map<string, number>(), gets }]);
  assert.match(run(part(0, SIZE), part(0, SIZE)), /again in the same run, when all was sent/);
  assert.match(run(part(0, 2_000_000), part(0, SIZE)), /2000000 bytes were sent twice in the same run/);
  assert.equal(run(part(0, 2_000_000), part(1_900_000, SIZE - 1_900_000)), '');
  const second = [part(2_000_000, 3_000_000), part(2_000_000, 4_000_000)];
  assert.match(texts(twoRuns(2_000_000, 2_000_000, second)), /3000000 bytes were sent twice in the same run/);
  // Whatever it had: a small blob that is fetched twice.
  const other = new Map([[LAYER, 1000]]);
  const phase = { had: new Map<string, number>(), gets: [part(0, 1000), part(0, 1000)] };
  assert.match(
    resumed([phase], other)
      .violations.map(({ text }) => text)
      .join(),
    /when all was sent/,
  );
});

test('caught: a third run that loses what the first one had', () => {
  const [first, second] = twoRuns(2_000_000, 2_000_000, [
    { digest: LAYER, offset: 2_000_000, sentBytes: 500_000 },
  ]);
  assert.ok(first !== undefined && second !== undefined);
  const third = { had: new Map([[LAYER, 100_000]]), gets: from(100_000) };
  assert.match(texts([first, second, third]), /2400000 bytes were sent twice/);
});

test('caught: a blob that the registry has acknowledged, and that is sent again', () => {
  const put = { method: 'PUT', bodyBytes: 10, contentRange: '', sentBytes: 10, fault: '' };
  const url = `/v2/a/blobs/uploads/x?state=1&digest=${LAYER}`;
  const done = { ...put, url, status: 201 };
  assert.deepEqual(acknowledgedBlobs([done, { ...put, url, status: 0 }]), [LAYER]);
  assert.deepEqual(sentAgain([{ ...put, url, status: 0 }], [done]), []);
  assert.deepEqual(sentAgain([done], [done]), [LAYER]);
});

test('caught: kills that do not fall within', () => {
  const falls = new Falls(2, 'a transfer');
  for (let i = 0; falls.goesOn; i++) falls.add({ fraction: i === 3 ? 0.55 : null, where: '' });
  assert.equal(falls.violations()[0]?.text, '1 kills instead of 2 fell within a transfer, of 11');
  assert.equal(falls.lines()[5], '  50-60% # 1');
  falls.add({ fraction: 0, where: '' });
  assert.deepEqual([falls.goesOn, falls.violations()], [false, []]);
});
