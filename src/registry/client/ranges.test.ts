import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseContentRange, parseUploadRange } from './ranges.ts';

test('Content-Range', () => {
  assert.deepEqual(parseContentRange('bytes 10-99/200'), { start: 10, end: 99, totalBytes: 200 });
  assert.deepEqual(parseContentRange('Bytes 0-0/*'), { start: 0, end: 0, totalBytes: null });
  const bad = [
    'bytes 9-1/20',
    'bytes 0-20/20',
    'bytes */20',
    'items 0-1/2',
    'bytes 0-99999999999999999/*',
    '',
  ];
  for (const header of bad) assert.equal(parseContentRange(header), null, header);
  assert.equal(parseContentRange(undefined), null);
});

test('Range of an upload', () => {
  assert.equal(parseUploadRange('0-99'), 100);
  assert.equal(parseUploadRange('bytes=0-99'), 100);
  assert.equal(parseUploadRange('0-0'), 0);
  for (const header of ['1-9', '0-', '0-x', '']) assert.equal(parseUploadRange(header), null, header);
});
