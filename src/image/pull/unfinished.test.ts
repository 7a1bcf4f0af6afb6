import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { LIMITS } from '#base/limits.ts';
import { silentLog as log } from '#base/log.ts';
import { digestHex, digestOf } from '#oci/digest.ts';
import { UnfinishedPulls, type UnfinishedPull } from './unfinished.ts';

async function folderFor(context: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-pulls-'));
  context.after(() => rm(folder, { recursive: true }));
  return folder;
}

const pullOf = (name: string, startedMs: number): UnfinishedPull => ({
  manifest: digestOf(name),
  names: [digestOf(`${name} layer`)],
  startedMs,
});

test('what was begun outlives the process, for a day', async (context) => {
  const folder = await folderFor(context);
  const nowMs = 1_000_000_000;
  const first = await UnfinishedPulls.open(folder, { log, nowMs });
  await first.begin(pullOf('a', nowMs));
  await first.begin(pullOf('b', nowMs));
  await first.end(digestOf('b'), 'forget');
  const second = await UnfinishedPulls.open(folder, { log, nowMs: nowMs + LIMITS.partialKeepMs });
  assert.deepEqual([...second.roots()], [digestOf('a layer')]);
  const third = await UnfinishedPulls.open(folder, { log, nowMs: nowMs + LIMITS.partialKeepMs + 1 });
  assert.deepEqual([...third.roots()], []);
  assert.deepEqual(await readdir(folder), []);
});

test('a damaged record costs nothing but itself', async (context) => {
  const folder = await folderFor(context);
  const first = await UnfinishedPulls.open(folder, { log, nowMs: 0 });
  await first.begin(pullOf('a', 0));
  await writeFile(join(folder, `${'0'.repeat(64)}.json`), 'sha256:1\n{}');
  await writeFile(join(folder, 'x.json.tmp'), '');
  const second = await UnfinishedPulls.open(folder, { log, nowMs: 0 });
  assert.equal(second.roots().size, 1);
  assert.equal((await readdir(folder)).length, 1);
});

test('what somebody is at is not forgotten, whatever its age', async (context) => {
  const pulls = await UnfinishedPulls.open(await folderFor(context), { log, nowMs: 0 });
  const { manifest } = pullOf('a', 0);
  await pulls.begin(pullOf('a', 0));
  await pulls.begin(pullOf('a', 0));
  await pulls.end(manifest, 'forget');
  await pulls.forgetOlder(0, 10);
  assert.equal(pulls.roots().size, 1, 'the other one goes on');
  await pulls.end(manifest, 'keep');
  await pulls.forgetOlder(20, 10);
  assert.equal(pulls.roots().size, 1, 'it is young');
  await pulls.forgetOlder(10, 10);
  assert.equal(pulls.roots().size, 0);
});

test('one whose file cannot be written has not begun, and nothing is left of it', async (context) => {
  const folder = await folderFor(context);
  const pulls = await UnfinishedPulls.open(folder, { log, nowMs: 0 });
  const { manifest } = pullOf('a', 0);
  await mkdir(join(folder, `${digestHex(manifest)}.json`));
  await assert.rejects(pulls.begin(pullOf('a', 0)), { code: 'EISDIR' });
  assert.equal(pulls.roots().size, 0);
  assert.equal((await readdir(folder)).length, 1);
  await rm(join(folder, `${digestHex(manifest)}.json`), { recursive: true });
  await pulls.begin(pullOf('a', 0));
  await pulls.end(manifest, 'keep');
  await pulls.forgetOlder(0, 0);
  assert.equal(pulls.roots().size, 0, 'nobody is at it');
});

test('one that begins while another of the same image ends keeps its file', async (context) => {
  const folder = await folderFor(context);
  const pulls = await UnfinishedPulls.open(folder, { log, nowMs: 0 });
  const { manifest } = pullOf('a', 0);
  for (let round = 0; round < 50; round++) {
    await pulls.begin(pullOf('a', 0));
    await Promise.all([pulls.end(manifest, 'forget'), pulls.begin(pullOf('a', 0))]);
    assert.equal((await readdir(folder)).length, 1);
    await pulls.end(manifest, 'forget');
  }
});
