import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { LIMITS } from '#base/limits.ts';
import { digestHex, digestOf } from '#oci/digest.ts';
import { BlobNotes } from './blob-notes.ts';

test('notes on blobs last until the blob goes, and a damaged one costs nothing', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'gantry-notes-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const [blob, other, compressed] = [digestOf('blob'), digestOf('other'), digestOf('compressed')];
  const notes = await BlobNotes.open(directory);
  assert.deepEqual(notes.of(blob), { repositories: [], compressed: null });
  for (let i = 0; i < LIMITS.blobRepositories + 4; i++) await notes.isIn(blob, `r.example/team/${i}`);
  await notes.isIn(blob, 'r.example/team/5');
  await notes.isNotIn(blob, 'r.example/team/10');
  await notes.isCompressedAs(blob, compressed);
  await notes.isIn(other, 'r.example/x');

  writeFileSync(join(directory, `${digestHex(other)}.json`), '{"repositories":["forged.example/x"]}');
  writeFileSync(join(directory, '.half'), 'half a note');
  const again = await BlobNotes.open(directory);
  const repositories = ['5', '11', '9', '8', '7', '6', '4'].map((name) => `r.example/team/${name}`);
  assert.deepEqual(again.of(blob), { repositories, compressed });
  assert.deepEqual(again.of(other), { repositories: [], compressed: null });
  assert.deepEqual([...again.belongings([blob, other])], [compressed]);
  assert.deepEqual(readdirSync(directory), [`${digestHex(blob)}.json`]);

  await again.forget([blob, other]);
  assert.deepEqual(again.of(blob), { repositories: [], compressed: null });
  assert.deepEqual(readdirSync(directory), []);
});
