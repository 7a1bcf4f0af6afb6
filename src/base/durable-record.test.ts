import assert from 'node:assert/strict';
import { readFileSync, writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { readRecord, writeRecord } from './durable-record.ts';
import { LIMITS } from './limits.ts';

function recordPath(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-record-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'record');
}

test('a record comes back; none, a damaged and a cut one are told apart', async (t) => {
  const path = recordPath(t);
  await assert.rejects(readRecord(path), { kind: 'notFound' });
  await writeRecord(path, { a: [1, 'ü'] });
  assert.deepEqual(await readRecord(path), { a: [1, 'ü'] });
  const text = readFileSync(path, 'utf8');
  for (const damaged of [text.replace('1', '2'), text.slice(0, -3), 'sha256:\n', '']) {
    writeFileSync(path, damaged);
    await assert.rejects(readRecord(path), { kind: 'dataLoss' });
  }
});

test('a record has a size that is not exceeded', async (t) => {
  const path = recordPath(t);
  const large = 'x'.repeat(LIMITS.recordBytes - 200);
  await writeRecord(path, large);
  assert.ok((await readRecord(path)) === large);
  await writeRecord(path, 'x'.repeat(LIMITS.recordBytes));
  await assert.rejects(readRecord(path), { kind: 'dataLoss' });
});
