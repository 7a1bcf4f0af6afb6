import assert from 'node:assert/strict';
import { test } from 'node:test';
import { constants, zstdCompressSync } from 'node:zlib';
import { isZstd, zstdWindowBytes } from './zstd-frame.ts';

const frame = (hex: string): Buffer => Buffer.from(`28b52ffd${hex}`, 'hex');

test('windows are read from frame headers', () => {
  // Exponent 0 to 31, mantissa 0 to 7.
  assert.equal(zstdWindowBytes(frame('0000')), 1024);
  assert.equal(zstdWindowBytes(frame('0001')), 1024 + 128);
  assert.equal(zstdWindowBytes(frame('0088')), 2 ** 27);
  assert.equal(zstdWindowBytes(frame('00ff')), 2 ** 41 + 7 * 2 ** 38);
  // A single segment looks back at all of it; dictionary ids of 0, 1, 2 and 4 bytes come before its size.
  assert.equal(zstdWindowBytes(frame('2007')), 7);
  assert.equal(zstdWindowBytes(frame('21aa07')), 7);
  assert.equal(zstdWindowBytes(frame('620100ff00')), 256 + 255);
  assert.equal(zstdWindowBytes(frame('a300000000000000ff')), 0xff000000);
  assert.equal(zstdWindowBytes(frame('e00000000001000000')), 2 ** 32);
});

test('a beginning that does not tell gives nothing', () => {
  for (const short of ['', '00', 'a000', 'e000000000'])
    assert.equal(zstdWindowBytes(frame(short)), null, short);
  assert.equal(zstdWindowBytes(Buffer.from('502a4d1808000000', 'hex')), null);
  assert.equal(zstdWindowBytes(Buffer.alloc(18)), null);
});

test('frames of data and skippable ones are zstd', () => {
  assert.ok(isZstd(frame('00')));
  for (const first of ['50', '5a', '5f']) assert.ok(isZstd(Buffer.from(`${first}2a4d18`, 'hex')));
  for (const other of ['', '28b52f', '602a4d18', '1f8b0800'])
    assert.equal(isZstd(Buffer.from(other, 'hex')), false);
});

test('it is what the compressor was told', () => {
  for (const windowLog of [10, 17, 24, 27]) {
    const params = { [constants.ZSTD_c_windowLog]: windowLog, [constants.ZSTD_c_contentSizeFlag]: 0 };
    const packed = zstdCompressSync(Buffer.alloc(100), { params });
    assert.ok((zstdWindowBytes(packed) ?? 0) <= 2 ** windowLog);
  }
});
