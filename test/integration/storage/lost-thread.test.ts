import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { silentLog } from '#base/log.ts';
import { createKernel } from '#host/real.ts';
import { openStorage } from '#storage/storage.ts';
import { tar } from './archive-builder.ts';
import { commit } from './storage-fixture.ts';

const ARCHIVE = tar([{ name: 'd/' }, { name: 'd/f', content: 'x' }]);

test('a layer whose thread is lost is unpacked again, once, and leaves nothing', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'gantry-lost-'));
  const deaths = join(root, 'deaths');
  process.env['GANTRY_TEST_DEATHS'] = deaths;
  const workerEntry = new URL('./dying-worker.ts', import.meta.url);
  const kernel = createKernel();
  const storage = await openStorage({ root, kernel, bootId: 'boot', log: silentLog, workerEntry });
  t.after(async () => {
    delete process.env['GANTRY_TEST_DEATHS'];
    await storage.close();
    rmSync(root, { recursive: true, force: true });
  });
  writeFileSync(deaths, '2');
  await assert.rejects(commit(storage, ARCHIVE), { kind: 'internal', code: 'THREAD_LOST' });
  writeFileSync(deaths, '1');
  const layer = await commit(storage, ARCHIVE);
  assert.deepEqual(storage.snapshotter.layers(), [layer]);
  const staged = readdirSync(join(root, 'overlay2')).filter((name) => name.startsWith('.staged-'));
  assert.deepEqual(staged, []);
});
