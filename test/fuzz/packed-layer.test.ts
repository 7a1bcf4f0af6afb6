/** What decoders of layers do with damaged, cut and odd archives, and where these arrive in pieces. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { isEngineError } from '#base/errors.ts';
import { createKernel } from '#host/real.ts';
import { PartialFile } from '../../src/storage/content/partial-file.ts';
import type { ByteSource } from '../../src/storage/layer/byte-source.ts';
import { plainSource } from '../../src/storage/layer/plain-source.ts';
import { unpackArchive } from '../../src/storage/layer/unpack-archive.ts';
import { UNSHARED_BUDGET } from '../../src/storage/layer/window-budget.ts';
import { XzDecoder } from '../../src/storage/layer/xz-decoder.ts';
import { zstdWindowBytes } from '../../src/storage/layer/zstd-frame.ts';
import { tar } from '../integration/storage/archive-builder.ts';
import { mutate } from './mutate.ts';
import { type Chance, fuzz } from './rounds.ts';

const { files } = createKernel();
const scratch = mkdtempSync(join(tmpdir(), 'gantry-fuzz-packed-'));
after(() => rmSync(scratch, { recursive: true, force: true }));

const hasXz = spawnSync('xz', ['--version']).status === 0;
/** In every form; made once. */
const PLAIN = tar(
  Array.from({ length: 30 }, (_, i) => ({ name: `d/f${i}`, content: `file ${i} `.repeat(20 * i) })),
);
const PACKED: readonly Buffer[] = [
  PLAIN,
  gzipSync(PLAIN),
  Buffer.concat([gzipSync(PLAIN.subarray(0, 4096)), gzipSync(PLAIN.subarray(4096))]),
  zstdCompressSync(PLAIN),
  readFileSync(join(import.meta.dirname, '../reference/archives/docker-save.tar.bz2')),
  ...(hasXz
    ? [['-6'], ['--block-size=3000', '--check=sha256'], ['-0', '--check=crc32']].map((options) =>
        execFileSync('xz', ['-c', ...options], { input: PLAIN }),
      )
    : []),
];
/** No damaged archive of this size may become much more. */
const MOST_PLAIN = 64 * 1024 * 1024;

function sourceOf(pieces: readonly Buffer[]): ByteSource {
  let at = 0;
  return { next: () => Promise.resolve(pieces[at++] ?? null) };
}

async function plainOf(pieces: readonly Buffer[]): Promise<string> {
  const hash = createHash('sha256');
  let size = 0;
  try {
    const plain = await plainSource(sourceOf(pieces), UNSHARED_BUDGET);
    try {
      for (let piece = await plain.next(); piece !== null; piece = await plain.next()) {
        hash.update(piece);
        size += piece.length;
        if (size > MOST_PLAIN) return 'large';
      }
    } finally {
      await plain.stop();
    }
  } catch (error) {
    assert.ok(isEngineError(error, 'invalidArgument'), String(error));
    return 'refused';
  }
  return hash.digest('hex');
}

fuzz('packed archives are read or refused, the same however they are cut', { short: 150 }, async (chance) => {
  const bytes = mutate(chance.pick(PACKED), chance);
  const outcomes = [await plainOf(bytes.length === 0 ? [] : [bytes]), await plainOf(chance.pieces(bytes))];
  assert.equal(outcomes[0], outcomes[1]);
});

fuzz('an xz decoder says how much memory it wants, and ends', { short: 300 }, (chance) => {
  const bytes = mutate(PACKED.at(-1 - chance.below(3)) ?? PLAIN, chance);
  const decoder = new XzDecoder();
  let size = 0;
  try {
    for (const piece of chance.pieces(bytes)) {
      decoder.push(piece);
      for (;;) {
        decoder.allow(decoder.dictionaryBytes);
        const plain = decoder.read();
        if (plain === null && decoder.dictionaryBytes === 0) break;
        if (plain === null && !wantsMore(decoder)) break;
        size += plain?.length ?? 0;
        assert.ok(size <= MOST_PLAIN);
      }
    }
    decoder.finish();
  } catch (error) {
    assert.ok(isEngineError(error, 'invalidArgument'), String(error));
  }
});

const asked = new WeakMap<XzDecoder, number>();

/** Whether it waits for leave, rather than for input: it wants more than it was allowed the last time. */
function wantsMore(decoder: XzDecoder): boolean {
  const before = asked.get(decoder) ?? 0;
  asked.set(decoder, decoder.dictionaryBytes);
  return decoder.dictionaryBytes > before;
}

fuzz('any beginning tells a window of zstd or nothing', { short: 2000 }, (chance) => {
  const head = Buffer.concat([Buffer.from('28b52ffd', 'hex'), chance.bytes(chance.below(16))]);
  const window = zstdWindowBytes(head);
  assert.ok(window === null || (window >= 0 && Number.isFinite(window)));
});

/** Writes an archive in pieces, with restarts and a failure now and then, beside the one who unpacks it. */
async function arrive(file: PartialFile, bytes: Buffer, chance: Chance): Promise<'whole' | 'failed'> {
  for (let restarts = chance.below(3); restarts > 0; restarts--) {
    await file.append([chance.flip() ? bytes.subarray(0, chance.below(bytes.length)) : chance.bytes(700)]);
    await file.restart();
  }
  for (const piece of chance.pieces(bytes)) await file.append([piece]);
  const how = chance.flip(0.8) ? 'whole' : 'failed';
  if (how === 'whole') file.end();
  else file.fail();
  return how;
}

fuzz(
  'an archive that arrives is unpacked, or its failure told',
  { short: 40, share: 0.3 },
  async (chance) => {
    const home = mkdtempSync(join(scratch, 'round-'));
    const bytes = chance.pick(PACKED);
    const file = await PartialFile.open({ path: join(home, 'blob'), sizeBytes: null, files });
    const expected = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    const arriving = arrive(file, bytes, chance);
    let outcome = 'RESTARTED';
    for (let round = 0; outcome === 'RESTARTED'; round++) {
      const target = join(home, `tree${round}`);
      mkdirSync(target);
      const { path, progress } = file.file;
      const job = { kind: 'unpack', path, progress, target, diffId: null, whiteouts: 'overlay' } as const;
      const signal = new AbortController().signal;
      const context = { files, budget: UNSHARED_BUDGET, signal, onRead: () => undefined };
      outcome = await unpackArchive(context, { ...job, blobDigest: { expected } }).then(
        ({ blobDigest }) => (blobDigest === expected ? 'whole' : 'wrong'),
        (error: unknown) => codeOf(error),
      );
    }
    const how = await arriving;
    await file.close();
    if (how === 'whole') assert.equal(outcome, 'whole');
    else assert.notEqual(outcome, 'wrong');
    rmSync(home, { recursive: true, force: true });
  },
);

function codeOf(error: unknown): string {
  assert.ok(isEngineError(error), String(error));
  return 'code' in error ? String(error.code) : 'failed';
}
