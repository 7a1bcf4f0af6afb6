import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isEngineError } from '#base/errors.ts';
import { goDuration } from './change-duration.ts';

const READ: readonly (readonly [text: string, nanoseconds: number])[] = [
  ['0', 0],
  ['-0', 0],
  ['+5s', 5e9],
  ['1h1m1s1ms1us1ns', 3_661_001_001_001],
  ['1.5h', 5400e9],
  ['.5s', 5e8],
  ['5.s', 5e9],
  ['2000µs', 2e6],
  ['-2ms', -2e6],
  ['1.0000000001s', 1e9],
];

const REFUSED: readonly (readonly [text: string, message: string])[] = [
  ['', 'time: invalid duration ""'],
  ['x', 'time: invalid duration "x"'],
  ['-', 'time: invalid duration "-"'],
  ['.', 'time: invalid duration "."'],
  ['.s', 'time: invalid duration ".s"'],
  ['1', 'time: missing unit in duration "1"'],
  ['1m30', 'time: missing unit in duration "1m30"'],
  ['1.5.5s', 'time: missing unit in duration "1.5.5s"'],
  ['1x', 'time: unknown unit "x" in duration "1x"'],
  ['1s2x', 'time: unknown unit "x" in duration "1s2x"'],
  ['1.5S', 'time: unknown unit "S" in duration "1.5S"'],
  ['1m-30s', 'time: unknown unit "m-" in duration "1m-30s"'],
  ['1"x', 'time: unknown unit "\\"x" in duration "1\\"x"'],
  ['1é', 'time: unknown unit "\\xc3\\xa9" in duration "1\\xc3\\xa9"'],
  ['2562048h', 'time: invalid duration "2562048h"'],
  ['9999999999999999999999s', 'time: invalid duration "9999999999999999999999s"'],
];

test('durations are read as Go reads them', () => {
  for (const [text, nanoseconds] of READ) assert.equal(goDuration(text) + 0, nanoseconds, text);
});

test('and refused in its words', () => {
  for (const [text, message] of REFUSED)
    assert.throws(
      () => goDuration(text),
      (error) => isEngineError(error, 'invalidArgument') && error.message === message,
      text,
    );
});
