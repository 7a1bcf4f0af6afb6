import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isEngineError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { normalizePath, whiteoutOf } from './layer-path.ts';
import { parsePax } from './pax.ts';
import { TarParser } from './tar-parser.ts';
import type { TarEntry } from './tar-header.ts';

interface Raw {
  readonly name: string;
  readonly type?: string;
  readonly body?: Buffer;
  /** Written instead of the body's length. */
  readonly size?: Buffer;
}

function block({ name, type = '0', body = Buffer.alloc(0), size }: Raw): Buffer {
  const head = Buffer.alloc(512);
  head.write(name, 0, 100, 'latin1');
  head.write('0000644\x000000000\x000000000\0', 100);
  if (size === undefined) head.write(`${body.length.toString(8).padStart(11, '0')}\0`, 124);
  else size.copy(head, 124);
  head.write('00000000000\0        ', 136);
  head.write(type, 156);
  head.write('ustar\x0000', 257);
  let sum = 0;
  for (const byte of head) sum += byte;
  head.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([head, body, Buffer.alloc((512 - (body.length % 512)) % 512)]);
}

function read(archive: Buffer, step = archive.length): { entries: TarEntry[]; bodies: string[] } {
  const entries: TarEntry[] = [];
  const bodies: string[] = [];
  let body = '';
  const parser = new TarParser({
    entry: (entry) => entries.push(entry),
    data: (chunk) => (body += chunk.toString('latin1')),
    entryEnd: () => {
      bodies.push(body);
      body = '';
    },
  });
  for (let at = 0; at < archive.length; at += step) parser.push(archive.subarray(at, at + step));
  parser.finish();
  return { entries, bodies };
}

const END = Buffer.alloc(1024);
const refused = (archive: Buffer, text: RegExp): void =>
  assert.throws(
    () => read(archive),
    (error) => isEngineError(error, 'invalidArgument') && text.test(error.message),
  );

test('chunks of any size give the same entries', () => {
  const long = 'd/'.repeat(100) + 'f';
  const archive = Buffer.concat([
    block({ name: 'x', type: 'L', body: Buffer.from(`${long}\0`) }),
    block({ name: 'cut', body: Buffer.from('content') }),
    block({ name: 'g', type: 'g', body: Buffer.from('12 comment=x\n') }),
    block({ name: 'p', type: 'x', body: Buffer.from('14 path=a/bcd\n') }),
    block({ name: 'short', body: Buffer.alloc(700, 0x61) }),
    block({ name: 'dir/' }),
    END,
  ]);
  const whole = read(archive);
  assert.deepEqual(
    whole.entries.map((entry) => [entry.path, entry.type]),
    [
      [long, 'file'],
      ['a/bcd', 'file'],
      ['dir/', 'directory'],
    ],
  );
  assert.deepEqual(whole.bodies, ['content', 'a'.repeat(700), '']);
  for (const step of [1, 7, 511, 512, 513]) assert.deepEqual(read(archive, step), whole);
});

test('large sizes in base 256 are read, negative and absurd ones refused', () => {
  const size = Buffer.from([0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  assert.equal(read(Buffer.concat([block({ name: 'f', size }), END])).entries[0]?.sizeBytes, 0);
  refused(block({ name: 'f', size: Buffer.alloc(12, 0xff) }), /invalid tar header/);
  refused(
    block({ name: 'f', size: Buffer.from([0x80, 0xff, ...Buffer.alloc(10, 0xff)]) }),
    /invalid tar header/,
  );
});

test('records are bounded, sparse files and unknown types refused', () => {
  const body = Buffer.alloc(LIMITS.tarRecordBytes + 1, 0x61);
  refused(block({ name: 'x', type: 'x', body }), /too long/);
  refused(block({ name: 'x', type: 'L', body }), /too long/);
  refused(block({ name: 'x', type: 'S' }), /sparse/);
  refused(
    Buffer.concat([block({ name: 'x', type: 'x', body: Buffer.from('22 GNU.sparse.major=1\n') })]),
    /sparse/,
  );
  refused(block({ name: 'x', type: 'Q' }), /unhandled tar header type 81/);
  const path = Buffer.from(`${'a'.repeat(LIMITS.tarPathBytes + 1)}\0`);
  refused(Buffer.concat([block({ name: 'x', type: 'L', body: path }), block({ name: 'y' })]), /path longer/);
  assert.throws(() => normalizePath('a/'.repeat(LIMITS.tarDepth + 1)), /deeper/);
});

test('an archive ends between entries or is cut', () => {
  const archive = block({ name: 'f', body: Buffer.from('content') });
  assert.equal(read(archive).entries.length, 1);
  for (const size of [1, 100, 511, 513, 600, 1023]) refused(archive.subarray(0, size), /^unexpected EOF$/);
  refused(Buffer.concat([Buffer.alloc(512), archive]), /invalid tar header/);
});

test('whatever stands in a PAX record, the answer is records or a refusal', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      try {
        parsePax(Buffer.from(bytes));
      } catch (error) {
        assert.ok(isEngineError(error, 'invalidArgument'));
      }
    }),
  );
  assert.deepEqual(parsePax(Buffer.from('15 mtime=-1.25\n')).mtime, {
    seconds: -2,
    nanoseconds: 750_000_000,
  });
  assert.throws(() => parsePax(Buffer.from('11 path=a\0\n')));
});

test('whatever bytes are changed, the parser answers or refuses', () => {
  const archive = Buffer.concat([
    block({ name: 'p', type: 'x', body: Buffer.from('14 path=a/bcd\n') }),
    block({ name: 'f', body: Buffer.from('content') }),
    END,
  ]);
  fc.assert(
    fc.property(
      fc.nat(archive.length - 1),
      fc.nat(255),
      fc.integer({ min: 1, max: 600 }),
      (at, value, step) => {
        const changed = Buffer.from(archive);
        changed[at] = value;
        try {
          for (const entry of read(changed, step).entries)
            assert.ok(!normalizePath(entry.path).split('/').includes('..'));
        } catch (error) {
          assert.ok(isEngineError(error, 'invalidArgument'), String(error));
        }
      },
    ),
    { numRuns: 500 },
  );
});

test('paths stay below the root or are refused; whiteouts name one thing', () => {
  assert.equal(normalizePath('/a/./b/../c//'), 'a/c');
  assert.equal(normalizePath('a/..'), '');
  assert.throws(() => normalizePath('../a'), /invalid entry name "\.\.\/a"/);
  assert.throws(() => normalizePath('/..', 'hardlink target'), /invalid hardlink target "\/\.\."/);
  assert.deepEqual(whiteoutOf('.wh.a'), { kind: 'remove', name: 'a' });
  assert.deepEqual(whiteoutOf('.wh..wh..opq'), { kind: 'opaque' });
  assert.equal(whiteoutOf('a.wh.b'), null);
  for (const bad of ['.wh.', '.wh..', '.wh...']) assert.throws(() => whiteoutOf(bad));
});
