import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '#base/limits.ts';
import type { Lease } from '#storage/lease.ts';
import type { Storage } from '#storage/storage.ts';
import { TAR_BLOCK, tarHead } from '../testing/tar-head.ts';
import { type ArchiveIndex, cleanPath } from './archive-index.ts';
import { ArchiveReader } from './read-archive.ts';

/** Nothing in these archives is a layer. */
const NOWHERE = { storage: {} as Storage, lease: {} as Lease };

async function spool(pieces: Iterable<Buffer>): Promise<ArchiveIndex> {
  async function* source(): AsyncGenerator<Buffer> {
    yield* pieces;
    yield Buffer.alloc(2 * TAR_BLOCK);
  }
  return await new ArchiveReader(NOWHERE).read(source());
}

test('an archive has so many members and no more', async () => {
  let given = 0;
  const folders = function* (): Generator<Buffer> {
    for (;;) yield tarHead(`d${++given}/`, 0, '5');
  };
  await assert.rejects(spool(folders()), { kind: 'tooLarge' });
  assert.ok(given > LIMITS.archiveMembers && given < LIMITS.archiveMembers + 1000, `${given} members`);
});

test('documents are kept in memory up to a size, all together', async () => {
  const document = (): Buffer => Buffer.alloc(LIMITS.imageConfigBytes, 0x20);
  const documents = function* (count: number): Generator<Buffer> {
    for (let i = 0; i < count; i++) yield* [tarHead(`${i}.json`, LIMITS.imageConfigBytes), document()];
  };
  const most = LIMITS.archiveDocumentBytes / LIMITS.imageConfigBytes;
  const index = await spool(documents(most));
  assert.ok(index.has('0.json') && index.has(`./${most - 1}.json`));
  await assert.rejects(spool(documents(most + 1)), { kind: 'tooLarge' });
});

test('paths never leave the archive', () => {
  assert.equal(cleanPath('./a//b/../c'), 'a/c');
  assert.equal(cleanPath('../../etc/passwd'), 'etc/passwd');
});
