import assert from 'node:assert/strict';
import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { JsonValue } from '#base/json.ts';
import { LIMITS } from '#base/limits.ts';
import { silentLog } from '#base/log.ts';
import { Journal } from './journal.ts';

async function scratch(): Promise<{ path: string; folder: string } & AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), 'gt-journal-'));
  const path = join(folder, 'journal');
  return { folder, path, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}

async function reopen(path: string): Promise<{ journal: Journal; records: JsonValue[] }> {
  const records: JsonValue[] = [];
  const journal = await Journal.open(path, (record) => records.push(record), silentLog);
  return { journal, records };
}

test('records come back in order; those who write at once share a flush', async () => {
  await using at = await scratch();
  const { journal } = await reopen(at.path);
  const applied: number[] = [];
  const writes = Array.from({ length: 50 }, (_, n) => journal.append([{ n }], () => void applied.push(n)));
  await Promise.all(writes);
  const wanted = Array.from({ length: 50 }, (_, n) => n);
  assert.deepEqual(applied, wanted);
  await journal.close();
  const { records, journal: next } = await reopen(at.path);
  assert.deepEqual(
    records,
    wanted.map((n) => ({ n })),
  );
  await next.close();
});

test('what a crash tore off is cut away, whatever the place', async () => {
  await using at = await scratch();
  const { journal } = await reopen(at.path);
  await journal.append([{ text: 'first' }], () => undefined);
  await journal.append([{ text: 'second' }], () => undefined);
  await journal.close();
  const whole = await readFile(at.path);
  const second = whole.indexOf('\n') + 1;
  for (let length = second; length < whole.length; length++) {
    await writeFile(at.path, whole.subarray(0, length));
    const { records, journal: next } = await reopen(at.path);
    assert.deepEqual(records, [{ text: 'first' }], `${length} bytes`);
    await next.append([{ text: 'third' }], () => undefined);
    await next.close();
    const again = await reopen(at.path);
    assert.deepEqual(again.records, [{ text: 'first' }, { text: 'third' }]);
    await again.journal.close();
  }
});

test('a damaged line costs that line, and a copy is kept', async () => {
  await using at = await scratch();
  const { journal } = await reopen(at.path);
  for (const text of ['first', 'second', 'third']) await journal.append([{ text }], () => undefined);
  await journal.close();
  const bytes = await readFile(at.path);
  bytes[bytes.indexOf('second')] = 0x58;
  await writeFile(at.path, bytes);
  const { records, journal: next } = await reopen(at.path);
  await next.close();
  assert.deepEqual(records, [{ text: 'first' }, { text: 'third' }]);
  assert.equal((await readdir(at.folder)).filter((name) => name.includes('damaged')).length, 1);
});

test('it is written anew with what is true, and goes on', async () => {
  await using at = await scratch();
  const { journal } = await reopen(at.path);
  for (let n = 0; n < 20; n++) await journal.append([{ n }], () => undefined);
  const writing = journal.append([{ n: 20 }], () => undefined);
  await journal.rewrite(() => [{ n: 'all' }]);
  await writing;
  await journal.append([{ n: 21 }], () => undefined);
  await journal.close();
  const { records, journal: next } = await reopen(at.path);
  await next.close();
  assert.deepEqual(records[0], { n: 'all' });
  assert.deepEqual(records.at(-1), { n: 21 });
});

test('a line without end is refused at the bound', async () => {
  await using at = await scratch();
  await appendFile(at.path, Buffer.alloc(LIMITS.journalLineBytes + 1, 0x61));
  await assert.rejects(reopen(at.path), /a line without end/);
});
