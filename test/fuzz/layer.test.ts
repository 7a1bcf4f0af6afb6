import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, test } from 'node:test';
import { createGzip, gzipSync, zstdCompressSync } from 'node:zlib';
import { EngineError, isEngineError } from '#base/errors.ts';
import { isKernelError } from '#host/kernel-error.ts';
import { createKernel } from '#host/real.ts';
import { readArchive } from '#storage/tar-reader.ts';
import { runLayerJob } from '../../src/storage/layer/run-job.ts';
import { TarParser } from '../../src/storage/layer/tar-parser.ts';
import { unpackArchive, type JobContext } from '../../src/storage/layer/unpack-archive.ts';
import { UNSHARED_BUDGET } from '../../src/storage/layer/window-budget.ts';
import { chunks, tar, type Member } from '../integration/storage/archive-builder.ts';
import { mutate } from './mutate.ts';
import { type Chance, fuzz } from './rounds.ts';

const MEMORY_BYTES = 150 * 1024 * 1024;
const BOMB_MEGABYTES = 300;
const kernel = createKernel();
const scratch = mkdtempSync(join(tmpdir(), 'gantry-fuzz-layer-'));
after(() => rmSync(scratch, { recursive: true, force: true }));

/** What stands beside the tree that is written: names, kinds, sizes, modes, times, contents. */
function fingerprint(path: string): string {
  const stat = lstatSync(path, { bigint: true });
  const self = `${path} ${stat.mode} ${stat.uid} ${stat.gid} ${stat.nlink} ${stat.mtimeNs} ${stat.ctimeNs}`;
  if (!stat.isDirectory()) return `${self} ${readFileSync(path, 'utf8')}\n`;
  const children = readdirSync(path)
    .sort()
    .map((name) => fingerprint(join(path, name)));
  return `${self}\n${children.join('')}`;
}

const canary = join(scratch, 'canary');
mkdirSync(join(canary, 'sub'), { recursive: true });
writeFileSync(join(canary, 'file'), 'untouched');
chmodSync(join(canary, 'file'), 0o640);
const untouched = fingerprint(canary);

const UP = '../'.repeat(12);
const NAMES = [
  'a',
  'a/b',
  'a/b/c',
  'd/',
  'a/',
  'l',
  'l/file',
  'l/sub/x',
  'h',
  '.wh.a',
  'a/.wh.b',
  '.wh..wh..opq',
  'a/.wh..wh..opq',
  'l/.wh.file',
];
const HOSTILE_NAMES = [
  '.',
  './',
  '/',
  '..',
  `${UP}x`,
  '.wh.',
  '.wh..',
  '.wh...',
  '.wh..wh.plnk',
  `${'n'.repeat(99)}/`,
  'a\\b',
  '\u00ff',
];
const LINKS = [
  canary,
  `${canary}/file`,
  `${UP}${canary.slice(1)}`,
  '/proc/self/root',
  '/proc/self/fd/3',
  '.',
  '..',
  'a',
  'l',
  'h',
  '',
];
const TYPES = ['0', '0', '5', '2', '2', '1', '1', '3', '4', '6', '7', 'S', 'g', 'V'];

function member(chance: Chance): Member {
  const pax: Record<string, string> = {};
  if (chance.flip(0.15))
    pax['path'] = chance.pick([...NAMES, `${UP}${canary.slice(1)}/file`, 'p'.repeat(300)]);
  if (chance.flip(0.1)) pax['linkpath'] = chance.pick(LINKS);
  if (chance.flip(0.1)) pax['SCHILY.xattr.trusted.overlay.redirect'] = canary;
  if (chance.flip(0.1)) pax['SCHILY.xattr.user.x'] = 'y'.repeat(chance.below(70_000));
  if (chance.flip(0.05)) pax['size'] = chance.pick(['0', '-1', '99999999999', 'x', '18446744073709551616']);
  if (chance.flip(0.05)) pax['mtime'] = chance.pick(['0', '-1.5', '1e9', '999999999999999.9', '']);
  const type = chance.flip(0.5) ? '0' : chance.pick(TYPES);
  return {
    name: chance.pick(chance.flip(0.85) ? NAMES : HOSTILE_NAMES),
    type,
    link: chance.pick(LINKS).slice(0, 99),
    content: type === '0' ? 'x'.repeat(chance.below(2000)) : '',
    mode: chance.pick([0, 0o644, 0o755, 0o4755, 0o7777]),
    uid: chance.pick([0, 0, 1000, 2 ** 20]),
    major: chance.below(300),
    minor: chance.below(300),
    ...(Object.keys(pax).length > 0 && { pax }),
  };
}

function archive(chance: Chance): Buffer {
  const members = Array.from({ length: 1 + chance.below(12) }, () => member(chance));
  return tar(members, { end: chance.flip(0.9) });
}

/** Restores the checksum of every header that stands at a block's start: most mutations would end there. */
function repaired(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  for (let at = 0; at + 512 <= copy.length; at += 512) {
    if (copy.toString('latin1', at + 257, at + 262) !== 'ustar') continue;
    copy.fill(0x20, at + 148, at + 156);
    let sum = 0;
    for (const byte of copy.subarray(at, at + 512)) sum += byte;
    copy.write(`${sum.toString(8).padStart(6, '0')}\0 `, at + 148);
  }
  return copy;
}

function isAnswer(error: unknown): boolean {
  return isEngineError(error, 'invalidArgument') || isEngineError(error, 'tooLarge');
}

/** The kernel may refuse a name or an attribute; the engine reports that as an error of the layer. */
function isRefusal(error: unknown): boolean {
  return (
    isAnswer(error) ||
    isKernelError(error) ||
    (error instanceof EngineError && isKernelError(error.cause)) ||
    (error instanceof Error && /^Z_|^ZSTD|^ERR_/.test(String((error as NodeJS.ErrnoException).code)))
  );
}

const CONTEXT: JobContext = {
  files: kernel.files,
  budget: UNSHARED_BUDGET,
  signal: new AbortController().signal,
  onRead: () => undefined,
};

async function apply(bytes: Buffer, chance: Chance): Promise<void> {
  const home = mkdtempSync(join(scratch, 'round-'));
  const target = join(home, 'tree');
  mkdirSync(target);
  const packed = chance.flip(0.7)
    ? bytes
    : chance.flip()
      ? gzipSync(bytes, { level: 1 })
      : zstdCompressSync(bytes);
  const path = join(home, 'blob');
  writeFileSync(path, packed);
  const whiteouts = chance.pick(['overlay', 'merge'] as const);
  const diffId = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  try {
    const { implied, sawRoot } = await unpackArchive(CONTEXT, {
      kind: 'unpack',
      path,
      progress: null,
      blobDigest: chance.pick(['ask', 'trust'] as const),
      target,
      diffId,
      whiteouts,
    });
    if (whiteouts === 'overlay' && chance.flip()) {
      const settle = { kind: 'settle', target, lowers: [canary], implied, root: !sawRoot } as const;
      await runLayerJob(CONTEXT, settle);
    }
  } catch (error) {
    assert.ok(isRefusal(error), `neither a layer nor a refusal: ${String(error)}`);
  } finally {
    assert.equal(fingerprint(canary), untouched, 'something outside of the tree was changed');
    assert.deepEqual(readdirSync(home).sort(), ['blob', 'tree']);
    rmSync(home, { recursive: true, force: true });
  }
}

fuzz('layers made of hostile members stay in their tree', { short: 150, share: 0.5 }, (chance) =>
  apply(archive(chance), chance),
);

fuzz('mutated layers stay in their tree', { short: 150, share: 0.5 }, (chance) => {
  const changed = mutate(archive(chance), chance);
  return apply(chance.flip(0.8) ? repaired(changed) : changed, chance);
});

fuzz('the tar parser answers or refuses, however the bytes are cut', { short: 500 }, (chance) => {
  const changed = mutate(archive(chance), chance);
  const bytes = chance.flip(0.8) ? repaired(changed) : changed;
  const outcomes = [[bytes], chance.pieces(bytes)].map((pieces) => {
    const seen: string[] = [];
    const parser = new TarParser({
      entry: (entry) => seen.push(`${entry.type} ${entry.path} ${entry.sizeBytes}`),
      data: () => undefined,
      entryEnd: () => seen.push('end'),
    });
    try {
      for (const piece of pieces) parser.push(piece);
      parser.finish();
    } catch (error) {
      assert.ok(isAnswer(error), String(error));
      seen.push(String(error));
    }
    return seen;
  });
  assert.deepEqual(outcomes[0], outcomes[1]);
});

fuzz('archives of images are read or refused', { short: 200 }, async (chance) => {
  const plain = archive(chance);
  const bytes = mutate(chance.flip() ? plain : gzipSync(plain, { level: 1 }), chance);
  try {
    for await (const member of readArchive(chunks(bytes, 1 + chance.below(4096)))) {
      if (chance.flip()) continue;
      for await (const chunk of member.content) assert.ok(chunk.length > 0);
    }
  } catch (error) {
    assert.ok(isRefusal(error), String(error));
  }
});

async function* zeros(head: Buffer, megabytes: number): AsyncGenerator<Buffer> {
  yield head;
  const part = Buffer.alloc(1024 * 1024);
  for (let i = 0; i < megabytes; i++) yield part;
}

test('a bomb of zeros is not kept in memory', async () => {
  const head = Buffer.from(tar([{ name: 'f', content: '' }], { end: false }));
  head.write('77777777777\0', 124);
  const bomb = Readable.from(zeros(repaired(head), BOMB_MEGABYTES)).pipe(createGzip({ level: 1 }));
  const before = process.memoryUsage().rss;
  let read = 0;
  await assert.rejects(async () => {
    for await (const member of readArchive(bomb))
      for await (const chunk of member.content) read += chunk.length;
  }, isAnswer);
  const grown = process.memoryUsage().rss - before;
  assert.ok(read > (BOMB_MEGABYTES - 1) * 1024 * 1024, `${read} bytes were read`);
  assert.ok(grown < MEMORY_BYTES, `${grown} bytes more`);
});
