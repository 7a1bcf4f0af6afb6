import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isEngineError } from '#base/errors.ts';
import { Bzip2Decoder, isBzip2 } from './bzip2-decoder.ts';
import { Bzip2Source } from './bzip2-source.ts';
import { decompressStream } from './decompress.ts';

const FOLDER = join(import.meta.dirname, '../../../test/reference/bzip2');

/** `printf 'hello, bzip2\n' | bzip2 -<level>`, and of nothing. */
const HELLO = 'hello, bzip2\n';
const HELLO_1 = fromBase64('QlpoMTFBWSZTWbEj3kMAAANZgAAQQAQQABJkwBAgADEDQNAgAaaRA6tsgoT4u5IpwoSFiR7yGA==');
const HELLO_9 = fromBase64('QlpoOTFBWSZTWbEj3kMAAANZgAAQQAQQABJkwBAgADEDQNAgAaaRA6tsgoT4u5IpwoSFiR7yGA==');
const EMPTY = fromBase64('QlpoORdyRThQkAAAAAA=');
/** 50,000,000 zeros. */
const BOMB = fromBase64(
  'QlpoOTFBWSZTWQ4J4t8BX45AAMAAAAggADCATUZCoCWpCoCXMUFZJlNZk8TsPQAfaMEAwAAAEAAIIAAwzAmqaZUiDapSIPF3JFOFCQj9cpgw',
);

function fromBase64(text: string): Buffer {
  return Buffer.from(text, 'base64');
}

/** Numbers below 65,536, the same ones each time. */
function* numbers(seed: number): Generator<number, never> {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state >>> 16;
  }
}

function noise(bytes: number): Buffer {
  const next = numbers(1);
  return Buffer.from(Array.from({ length: bytes }, () => next.next().value & 0xff));
}

/** Nearly the same bytes again and again. */
function repeated(part: Buffer, times: number): Buffer {
  return Buffer.concat(
    Array.from({ length: times }, (_, n) => {
      const changed = Buffer.from(part);
      changed.writeUInt8(changed.readUInt8((n * 3) % part.length) ^ 0xff, (n * 3) % part.length);
      return changed;
    }),
  );
}

/** Each byte half as often as the one before: codes of all lengths. */
function skewed(): Buffer {
  const next = numbers(3);
  return Buffer.from(Array.from({ length: 30_000 }, () => Math.clz32((next.next().value << 16) | 1)));
}

function runs(): Buffer {
  return Buffer.concat(Array.from({ length: 1200 }, (_, n) => Buffer.alloc((n * 7) % 600, n % 5)));
}

/** What `bzip2` made of these, with the level in the name, is in test/reference/bzip2. */
const DATA: Readonly<Record<string, () => Buffer>> = {
  'blocks-1': () => repeated(noise(100), 3000),
  'runs-9': runs,
  'skewed-1': skewed,
  'large-9': () => repeated(noise(1000), 2000),
};

function unpack(packed: Buffer, pieceBytes = 65_536): Buffer {
  const decoder = new Bzip2Decoder();
  const plain: Buffer[] = [];
  try {
    for (let at = 0; ; ) {
      const step = decoder.read();
      if (typeof step !== 'string') plain.push(Buffer.from(step));
      else if (step === 'over') return Buffer.concat(plain);
      else if (step === 'hungry') {
        if (at >= packed.length) break;
        decoder.push(packed.subarray(at, (at += pieceBytes)));
      }
    }
    decoder.finish();
    return Buffer.concat(plain);
  } finally {
    decoder.release();
  }
}

function isRefusal(error: unknown): boolean {
  return (
    isEngineError(error, 'invalidArgument') && /^(?:unexpected EOF$|damaged .*: bzip2 )/.test(error.message)
  );
}

function isCut(error: unknown): boolean {
  return isEngineError(error, 'invalidArgument') && error.message === 'unexpected EOF';
}

test('what the program packed comes out again, in pieces of any size', () => {
  for (const pieceBytes of [1, 2, 7, 1000]) {
    assert.equal(unpack(HELLO_1, pieceBytes).toString(), HELLO);
    assert.equal(unpack(HELLO_9, pieceBytes).toString(), HELLO);
    assert.equal(unpack(EMPTY, pieceBytes).length, 0);
  }
  for (const [name, made] of Object.entries(DATA)) {
    const packed = readFileSync(join(FOLDER, `${name}.bz2`));
    for (const pieceBytes of [1, 1000, 65_536]) assert.ok(unpack(packed, pieceBytes).equals(made()), name);
  }
});

test('it is told by its first bytes', () => {
  for (const packed of [HELLO_1, HELLO_9, EMPTY, BOMB]) assert.equal(isBzip2(packed), true);
  for (const other of ['', 'B', 'BZh', 'BZh0', 'BZip', 'hello'])
    assert.equal(isBzip2(Buffer.from(other)), false);
});

test('streams one after the other, and what is no stream behind them', () => {
  const all = Buffer.concat([HELLO_1, EMPTY, HELLO_9, EMPTY, HELLO_1]);
  for (const rest of ['', '\0\0\0\0\0', 'what is this', 'BY', 'BZx', 'BZh0', 'BZh:'])
    for (const pieceBytes of [1, 5, 1000])
      assert.equal(unpack(Buffer.concat([all, Buffer.from(rest)]), pieceBytes).toString(), HELLO.repeat(3));
  for (const cut of ['B', 'BZ', 'BZh', 'BZh9', 'BZh91AY'])
    assert.throws(() => unpack(Buffer.concat([all, Buffer.from(cut)])), isCut, cut);
  assert.throws(() => unpack(Buffer.concat([all, Buffer.from('BZh9 is the beginning')])), isRefusal);
  assert.throws(() => unpack(Buffer.from('BZip')), isRefusal);
});

test('every cut is refused', () => {
  const blocks = readFileSync(join(FOLDER, 'blocks-1.bz2'));
  for (let length = 0; length < HELLO_9.length; length++)
    assert.throws(() => unpack(HELLO_9.subarray(0, length), 3), isCut, `${length}`);
  for (let length = 0; length < blocks.length; length += length < 1000 ? 1 : 29)
    assert.throws(() => unpack(blocks.subarray(0, length)), isCut, `${length}`);
});

test('every changed bit is refused, or changes nothing', () => {
  const runsPacked = readFileSync(join(FOLDER, 'runs-9.bz2'));
  const expected = runs();
  const check = (packed: Buffer, { plain, bit }: { plain: Buffer; bit: number }): void => {
    const changed = Buffer.from(packed);
    changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    try {
      assert.ok(unpack(changed).equals(plain), `bit ${bit}`);
    } catch (error) {
      const isRandomised = /randomised blocks are not supported/.test(String(error));
      assert.ok(isRandomised || isRefusal(error), `bit ${bit}: ${String(error)}`);
    }
  };
  for (let bit = 0; bit < HELLO_9.length * 8; bit++) check(HELLO_9, { plain: Buffer.from(HELLO), bit });
  for (let bit = 0; bit < runsPacked.length * 8; bit += 11) check(runsPacked, { plain: expected, bit });
});

test('few bytes that become many come in small pieces, and others have their turns', async () => {
  let at = 0;
  const source = new Bzip2Source({ next: () => Promise.resolve([BOMB, null][at++] ?? null) });
  let turns = 0;
  const ticking = setInterval(() => turns++, 1);
  let size = 0;
  for (let piece = await source.next(); piece !== null; piece = await source.next()) {
    assert.ok(piece.length <= 256 * 1024 && !piece.some((byte) => byte !== 0));
    size += piece.length;
  }
  await source.stop();
  assert.equal(size, 50_000_000);
  async function* bomb(): AsyncGenerator<Buffer> {
    yield BOMB;
  }
  turns = 0;
  size = 0;
  for await (const piece of decompressStream(bomb())) size += piece.length;
  clearInterval(ticking);
  assert.equal(size, 50_000_000);
  assert.ok(turns >= 10, `${turns}`);
});

test('one block is held, whatever comes, and none when it is over', () => {
  const before = process.memoryUsage().arrayBuffers;
  const decoder = new Bzip2Decoder();
  let most = 0;
  for (let streams = 0; streams < 200; ) {
    const step = decoder.read();
    if (step === 'hungry') decoder.push(streams++ % 2 === 0 ? HELLO_1 : HELLO_9);
    most = Math.max(most, process.memoryUsage().arrayBuffers - before);
  }
  assert.ok(most < 4_200_000, `${most}`);
  decoder.release();
  decoder.release();
  assert.ok(process.memoryUsage().arrayBuffers - before < most - 3_500_000);
  assert.equal(decoder.read(), 'over');
});

interface Block {
  readonly randomised?: string;
  readonly origin?: number;
  /** In two levels. */
  readonly used?: string;
  readonly codes?: number;
  readonly selectors?: string;
  readonly selectorCount?: number;
  /** Of one code; each of them has it. */
  readonly lengths?: string;
  readonly symbols?: string;
  readonly crc?: string;
}

function bits(value: number, length: number): string {
  return value.toString(2).padStart(length, '0');
}

const ONLY_A = bits(0x8000 >> 6, 16) + bits(0x8000 >> 1, 16);
const A_AND_B = bits(0x8000 >> 6, 16) + bits((0x8000 >> 1) | (0x8000 >> 2), 16);
/** 1, 2 and 2 bits, for `RUNA`, `RUNB` and the end. */
const SHORT = `${bits(1, 5)}0100`.padEnd(10, '0');
const [RUN_A, RUN_B, END] = ['0', '10', '11'];

/** A stream with one block, an `a` unless told otherwise, written bit by bit. */
function stream(block: Block): Buffer {
  const { randomised = '0', origin = 0, used = ONLY_A, codes = 2, selectors = '0' } = block;
  const { selectorCount = selectors.length, lengths = SHORT, symbols = RUN_A + END } = block;
  const crc = block.crc ?? bits(0x19939b6b, 32);
  const tables = used + bits(codes, 3) + bits(selectorCount, 15) + selectors + lengths.repeat(codes);
  const head = `${bits(0x314159, 24)}${bits(0x265359, 24)}${crc}${randomised}${bits(origin, 24)}`;
  const all = `${head}${tables}${symbols}${bits(0x177245, 24)}${bits(0x385090, 24)}${crc}`;
  const bytes = all.padEnd(Math.ceil(all.length / 8) * 8, '0').match(/.{8}/g) ?? [];
  return Buffer.concat([Buffer.from('BZh1'), Buffer.from(bytes.map((byte) => Number.parseInt(byte, 2)))]);
}

test('every bound of the format is kept', () => {
  assert.equal(unpack(stream({})).toString(), 'a');
  // `bzip2` writes at most 18,002; others have written more, and `bzip2` reads them.
  assert.equal(unpack(stream({ selectors: '0'.repeat(18_010) })).toString(), 'a');
  const zigzag = `${bits(1, 5)}${'1011'.repeat(11)}0`;
  const TWO_BITS = `${bits(2, 5)}0000`;
  const refused: readonly (readonly [Block, RegExp])[] = [
    [{ randomised: '1' }, /^bzip2 archives with randomised blocks are not supported$/],
    [{ origin: 1 }, /origin/],
    [{ symbols: END }, /origin/],
    [{ used: bits(0, 16) }, /without bytes/],
    [{ codes: 1 }, /code count/],
    [{ codes: 7 }, /code count/],
    [{ selectorCount: 0, selectors: '' }, /selectors/],
    [{ selectors: '110', selectorCount: 1 }, /selectors/],
    [{ used: A_AND_B, lengths: TWO_BITS, symbols: '10'.repeat(51) }, /selectors/],
    [{ lengths: `${bits(0, 5)}000` }, /code lengths/],
    [{ lengths: `${bits(21, 5)}000` }, /code lengths/],
    [{ lengths: `${bits(20, 5)}100000` }, /code lengths/],
    [{ lengths: `${bits(1, 5)}000` }, /code lengths/],
    [{ lengths: `${zigzag}100` }, /code lengths/],
    [{ lengths: `${bits(2, 5)}000`, symbols: '00' + '11' }, /bzip2 code$/],
    [{ symbols: RUN_B.repeat(17) + END }, /run/],
    [{ symbols: RUN_A.repeat(40) + END }, /run/],
    [{ symbols: RUN_B + RUN_A + END }, /run/],
    [{ crc: bits(1, 32) }, /block check/],
  ];
  for (const [block, message] of refused)
    assert.throws(() => unpack(stream(block)), { message }, `${JSON.stringify(block)}`);
});
