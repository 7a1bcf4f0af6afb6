import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '#base/limits.ts';
import { encodeFields, encodeFrame, FIELD, Fields, FRAME, FrameDecoder } from './protocol.ts';

test('frames survive any cut of the stream', () => {
  const fields = encodeFields([
    [FIELD.argv, ['runc', 'é']],
    [FIELD.flags, 5],
    [FIELD.logPath, undefined],
    [FIELD.timeNs, 1790000000000000000n],
  ]);
  const bytes = Buffer.concat([
    encodeFrame(FRAME.hello, 7, fields),
    encodeFrame(FRAME.end, 0, Buffer.alloc(0)),
  ]);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const decoder = new FrameDecoder();
    const frames = [...decoder.push(bytes.subarray(0, cut)), ...decoder.push(bytes.subarray(cut))];
    assert.deepEqual(
      frames.map(({ type, tag }) => [type, tag]),
      [
        [FRAME.hello, 7],
        [FRAME.end, 0],
      ],
    );
    const read = new Fields(frames[0]?.payload ?? Buffer.alloc(0));
    assert.deepEqual(
      [read.text(FIELD.argv), read.int(FIELD.flags), read.has(FIELD.logPath)],
      ['runc', 5, false],
    );
    assert.equal(read.bigint(FIELD.timeNs), 1790000000000000000n);
  }
});

test('lengths are checked on both sides', () => {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(LIMITS.shimFrameBytes + 1, 0);
  assert.throws(() => new FrameDecoder().push(header), /a frame of 65537 bytes/);
  assert.throws(() => encodeFrame(FRAME.stdin, 0, Buffer.alloc(LIMITS.shimFrameBytes + 1)), /at most 65536/);
  assert.equal(
    encodeFrame(FRAME.start, 1, Buffer.alloc(LIMITS.shimRequestBytes)).length,
    LIMITS.shimRequestBytes + 8,
  );
  assert.throws(
    () => encodeFrame(FRAME.start, 1, Buffer.alloc(LIMITS.shimRequestBytes + 1)),
    /at most 4456448/,
  );
  assert.throws(() => encodeFields([[FIELD.argv, ['a\0b']]]), /NUL/);
});

test('torn and oversized fields', () => {
  const good = encodeFields([[FIELD.pid, 5]]);
  for (let cut = 1; cut < good.length; cut++)
    assert.throws(() => new Fields(good.subarray(0, cut)), /shim protocol/);
  assert.throws(() => new Fields(encodeFields([[FIELD.pid, 'abc']])).int(FIELD.pid), /3 bytes instead of 8/);
  assert.throws(() => new Fields(encodeFields([[FIELD.pid, 2n ** 62n]])).int(FIELD.pid), /out of range/);
});
