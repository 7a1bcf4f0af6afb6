import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BadFrame, encodeFrame, FrameDecoder } from './multiplex.ts';
import { checkVersion, negotiateVersion } from './version.ts';
import { parseFilters } from './filters.ts';
import { parseTimestampNanos } from './timestamp.ts';

test('frames survive any cut', () => {
  const bytes = Buffer.concat([
    encodeFrame({ stream: 'stdout', data: Buffer.from('out\n') }),
    encodeFrame({ stream: 'stderr', data: Buffer.from('err\n') }),
  ]);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const decoder = new FrameDecoder();
    const frames = [...decoder.decode(bytes.subarray(0, cut)), ...decoder.decode(bytes.subarray(cut))];
    const join = (name: string): string =>
      frames
        .filter((f) => f.stream === name)
        .map((f) => Buffer.from(f.data).toString())
        .join('');
    assert.equal(join('stdout'), 'out\n');
    assert.equal(join('stderr'), 'err\n');
    assert.equal(decoder.isAtBoundary, true);
  }
  assert.throws(() => new FrameDecoder().decode(Buffer.from('HTTP/1.1 200')), BadFrame);
});

test('versions: negotiation and refusals', () => {
  assert.deepEqual(
    [negotiateVersion('1.40'), negotiateVersion('1.99'), negotiateVersion(undefined)],
    ['1.40', '1.51', '1.24'],
  );
  assert.equal(checkVersion('1.24').ok, true);
  const old = checkVersion('1.10');
  assert.equal(!old.ok && old.form, 'text');
  const recent = checkVersion('1.99');
  assert.equal(
    !recent.ok && recent.message,
    'client version 1.99 is too new. Maximum supported API version is 1.51',
  );
});

test('filters: both forms, hostile keys, refusals', () => {
  assert.deepEqual(
    [...parseFilters('{"label":["a","b"],"name":{"x":true,"y":false}}')],
    [
      ['label', ['a', 'b']],
      ['name', ['x']],
    ],
  );
  assert.deepEqual([...parseFilters('{"__proto__":["x"]}').keys()], ['__proto__']);
  for (const bad of ['x', '[]', '{"a":1}', '{"a":[1]}'])
    assert.throws(() => parseFilters(bad), /^EngineError: invalid filter$/);
});

test('timestamps keep nanoseconds', () => {
  assert.equal(parseTimestampNanos('1700000000.000000123'), 1_700_000_000_000_000_123n);
  assert.equal(parseTimestampNanos('5'), 5_000_000_000n);
  assert.throws(() => parseTimestampNanos('x'), /strconv.ParseInt: parsing "x": invalid syntax/);
});
