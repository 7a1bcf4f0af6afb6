import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { isEngineError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { isXz, XzDecoder } from './xz-decoder.ts';

/** `printf 'hello, xz\n' | xz --check=<each>`: for machines without the program. */
const KNOWN: Readonly<Record<string, string>> = {
  none: '/Td6WFoAAAD/EtlBAgAhARYAAAB0L+WjAQAJaGVsbG8sIHh6CgAAAAABGgrupn5wBnKeegEAAAAAAFla',
  crc32: '/Td6WFoAAAFpIt42AgAhARYAAAB0L+WjAQAJaGVsbG8sIHh6CgAAAELqWs4AAR4K6mMSFJBCmQ0BAAAAAAFZWg==',
  crc64: '/Td6WFoAAATm1rRGAgAhARYAAAB0L+WjAQAJaGVsbG8sIHh6CgAAAOsStov8cd8oAAEiChUa4WcftvN9AQAAAAAEWVo=',
  sha256:
    '/Td6WFoAAArh+wyhAgAhARYAAAB0L+WjAQAJaGVsbG8sIHh6CgAAAPlJGXoZaTzimYLRKtuSQ8njypcxuSHgWrMZ+5GONOtsAAE6CkyC+uUYm0uaAQAAAAAKWVo=',
};

const hasXz = spawnSync('xz', ['--version']).status === 0;

function pack(bytes: Buffer, ...options: string[]): Buffer {
  return execFileSync('xz', ['-c', ...options], { input: bytes, maxBuffer: 1 << 30 });
}

function unpack(packed: Buffer, pieceBytes = 65_536): Buffer {
  const decoder = new XzDecoder();
  const plain: Buffer[] = [];
  const drain = (): void => {
    for (;;) {
      if (decoder.dictionaryBytes > 0) decoder.allow(decoder.dictionaryBytes);
      const piece = decoder.read();
      if (piece !== null) plain.push(piece);
      else if (decoder.dictionaryBytes === 0 || !isNewDictionary(decoder)) return;
    }
  };
  for (let at = 0; at < packed.length; at += pieceBytes) {
    decoder.push(packed.subarray(at, at + pieceBytes));
    drain();
  }
  decoder.finish();
  return Buffer.concat(plain);
}

const allowed = new WeakMap<XzDecoder, number>();

/** Whether the last `read` ended because a block wants leave for its dictionary. */
function isNewDictionary(decoder: XzDecoder): boolean {
  const before = allowed.get(decoder) ?? 0;
  allowed.set(decoder, decoder.dictionaryBytes);
  return decoder.dictionaryBytes > before;
}

/** Text with repetitions near and far, numbers, and noise that cannot be packed. */
function sample(bytes: number): Buffer {
  const parts: Buffer[] = [];
  let size = 0;
  for (let i = 0; size < bytes; i++) {
    const part =
      i % 7 === 6
        ? randomBytes(3000)
        : Buffer.from(`line ${i} of ${i * i}: the same words again and again\n`);
    const repeated = i % 5 === 0 ? Buffer.concat(parts.slice(-20)) : part;
    parts.push(repeated);
    size += repeated.length;
  }
  return Buffer.concat(parts).subarray(0, bytes);
}

test('known files are read', () => {
  for (const [check, base64] of Object.entries(KNOWN))
    assert.equal(unpack(Buffer.from(base64, 'base64')).toString(), 'hello, xz\n', check);
});

test('what the program packs comes out again, with every option that changes the format', {
  skip: hasXz ? false : 'no xz',
}, () => {
  const bytes = sample(1_500_000);
  const all = [
    ...['-0', '-3', '-6', '-9', '-9e'].map((level) => [level]),
    ...['none', 'crc32', 'crc64', 'sha256'].map((check) => [`--check=${check}`]),
    ['--block-size=100000'],
    ['-T2', '--block-size=300000'],
    ['--lzma2=dict=4KiB'],
    ['--lzma2=dict=1MiB,lc=0,lp=4,pb=0'],
    ['--lzma2=dict=96KiB,lc=4,lp=0,pb=4'],
    ['--lzma2=preset=1,mf=hc3,nice=8'],
  ];
  for (const options of all) assert.ok(unpack(pack(bytes, ...options)).equals(bytes), options.join(' '));
});

test('pieces of any size, empty files, streams one after the other, padding', {
  skip: hasXz ? false : 'no xz',
}, () => {
  const bytes = sample(30_000);
  const packed = pack(bytes, '--block-size=7000');
  for (const pieceBytes of [1, 3, 17, 1000]) assert.ok(unpack(packed, pieceBytes).equals(bytes));
  const empty = pack(Buffer.alloc(0));
  assert.equal(unpack(empty).length, 0);
  const both = Buffer.concat([packed, Buffer.alloc(8), empty, packed, Buffer.alloc(4)]);
  assert.ok(unpack(both).equals(Buffer.concat([bytes, bytes])));
  assert.equal(isXz(packed), true);
  assert.equal(isXz(bytes), false);
});

test('data that cannot be packed, and data that packs to nothing', { skip: hasXz ? false : 'no xz' }, () => {
  for (const bytes of [randomBytes(400_000), Buffer.alloc(5_000_000), Buffer.alloc(1)])
    assert.ok(unpack(pack(bytes)).equals(bytes));
});

test('every cut and every changed byte is refused', { skip: hasXz ? false : 'no xz' }, () => {
  const packed = pack(sample(4000), '--check=crc32');
  const isRefusal = (error: unknown): boolean => isEngineError(error, 'invalidArgument');
  for (let length = 0; length < packed.length; length += 1 + (length >> 5))
    assert.throws(() => unpack(packed.subarray(0, length)), isRefusal, `cut at ${length}`);
  for (let at = 0; at < packed.length; at += 1 + (at >> 6)) {
    const changed = Buffer.from(packed);
    changed.writeUInt8(changed.readUInt8(at) ^ (1 << (at % 8)), at);
    assert.throws(() => unpack(changed), isRefusal, `byte ${at}`);
  }
});

test('a dictionary above LIMITS.xzDictionaryBytes, and other filters, are refused', {
  skip: hasXz ? false : 'no xz',
}, () => {
  const bytes = sample(10_000);
  const most = LIMITS.xzDictionaryBytes / 1024 / 1024;
  assert.ok(unpack(pack(bytes, `--lzma2=dict=${most}MiB`)).equals(bytes));
  for (const options of [[`--lzma2=dict=${most + 32}MiB`], ['--x86', '--lzma2'], ['--delta', '--lzma2']])
    assert.throws(
      () => unpack(pack(bytes, ...options)),
      (error) => isEngineError(error, 'invalidArgument'),
    );
});
