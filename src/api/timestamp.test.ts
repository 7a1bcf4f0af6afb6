import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isEngineError } from '#base/errors.ts';
import { pruneUntilMs, timeFilterMs } from './timestamp.ts';

const nowMs = Date.parse('2020-06-01T12:00:00.750Z');
const timeOf = (text: string): string =>
  new Date(timeFilterMs(text, { nowMs, kind: 'internal' })).toISOString();

test('the filter until: how long ago, in whole seconds', () => {
  assert.equal(timeOf('24h'), '2020-05-31T12:00:00.000Z');
  assert.equal(timeOf('1h30m'), '2020-06-01T10:30:00.000Z');
  assert.equal(timeOf('1.5h'), '2020-06-01T10:30:00.000Z');
  assert.equal(timeOf('.5s'), '2020-06-01T12:00:00.000Z');
  assert.equal(timeOf('800ms'), '2020-06-01T11:59:59.000Z');
  assert.equal(timeOf('-1h'), '2020-06-01T13:00:00.000Z');
});

test('the filter until: dates, and seconds since the epoch', () => {
  // The zone that the engine has now, also for a day with other rules.
  const offsetMs = new Date(nowMs).getTimezoneOffset() * 60_000;
  const local = (text: string): string => new Date(Date.parse(`${text}Z`) + offsetMs).toISOString();
  assert.equal(timeOf('2020-01-02'), local('2020-01-02T00:00:00'));
  assert.equal(timeOf('2020-01-02T03'), local('2020-01-02T03:00:00'));
  assert.equal(timeOf('2020-01-02T03:04'), local('2020-01-02T03:04:00'));
  assert.equal(timeOf('2020-01-02T03:04:05'), local('2020-01-02T03:04:05'));
  assert.equal(timeOf('2020-01-02T03:04:05.25'), local('2020-01-02T03:04:05.250'));
  assert.equal(timeOf('2020-01-02Z'), '2020-01-02T00:00:00.000Z');
  assert.equal(timeOf('2020-01-02-01:00'), '2020-01-02T01:00:00.000Z');
  assert.equal(timeOf('2020-01-02T03:04Z'), '2020-01-02T03:04:00.000Z');
  assert.equal(timeOf('2020-01-02T03:04:05+02:30'), '2020-01-02T00:34:05.000Z');
  assert.equal(timeOf('2020-02-29T23:59:59.123456789Z'), '2020-02-29T23:59:59.123Z');
  assert.equal(timeOf('1577836800'), '2020-01-01T00:00:00.000Z');
  assert.equal(timeOf('1577836800.5'), '2020-01-01T00:00:00.500Z');
  assert.equal(timeOf('0'), '1970-01-01T00:00:00.000Z');
});

/** As the reference says it. */
const REFUSED: readonly (readonly [string, string])[] = [
  ...['foo', '', '1h30', '1e3', '1.x', '1x', '9999999h', '99999999999999999999', 'a"b'].map(
    (text) => [text, `failed to parse value as time or duration: ${JSON.stringify(text)}`] as const,
  ),
  ['-5', 'parsing time "-5" as "2006-01-02": cannot parse "-5" as "2006"'],
  ['2020-01', 'parsing time "2020-01" as "2006-01-02": cannot parse "" as "-"'],
  ['2020-02-3', 'parsing time "2020-02-3" as "2006-01-02": cannot parse "3" as "02"'],
  ['2020-13-01', 'parsing time "2020-13-01": month out of range'],
  ['2020-02-30', 'parsing time "2020-02-30": day out of range'],
  ['2020-01-02T25', 'parsing time "2020-01-02T25": hour out of range'],
  ['2020-02-03x', 'parsing time "2020-02-03x": extra text: "x"'],
  ['2020-02-03T1:2', 'parsing time "2020-02-03T1:2" as "2006-01-02T15:04": cannot parse "2" as "04"'],
  ['2020-02-03T10:20:30.x', 'parsing time "2020-02-03T10:20:30.x": extra text: ".x"'],
  [
    '2020-02-03T10:20:30+2',
    'parsing time "2020-02-03T10:20:30+2" as "2006-01-02T15:04Z07:00": cannot parse ":30+2" as "Z07:00"',
  ],
  [
    '2020-02-03T10:20:30.5+25:00',
    'parsing time "2020-02-03T10:20:30.5+25:00": time zone offset hour out of range',
  ],
];

test('the filter until: what is no time is refused with the text that clients know', () => {
  for (const [text, message] of REFUSED)
    assert.throws(
      () => timeOf(text),
      (error) => isEngineError(error, 'internal') && error.message === message,
      text,
    );
});

test('the filter until of a prune: one at most', () => {
  const context = { nowMs, kind: 'invalidArgument' } as const;
  assert.equal(pruneUntilMs(undefined, context), null);
  assert.equal(pruneUntilMs([], context), null);
  assert.equal(pruneUntilMs(['5'], context), 5000);
  const twice = { kind: 'invalidArgument', message: 'more than one until filter specified' };
  assert.throws(() => pruneUntilMs(['1h', '2h'], context), twice);
  assert.throws(() => pruneUntilMs(['foo'], context), { kind: 'invalidArgument' });
});
