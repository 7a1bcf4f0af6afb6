import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as after } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { digestOf } from '#oci/digest.ts';
import { tar } from './archive-builder.ts';
import { fixture } from './storage-fixture.ts';

const CHILD = fileURLToPath(new URL('./intake-child.ts', import.meta.url));
const KILLS = Number(process.env['GANTRY_TEST_KILLS'] ?? '6');

interface Run {
  /** What it found, and what it said it had when it ended. */
  readonly found: number;
  readonly told: number;
  readonly isDone: boolean;
}

async function takeAndKill(root: string, path: string, delayMs: number): Promise<Run> {
  const child = spawn(process.execPath, [CHILD, root, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const closed = once(child, 'close');
  await once(child.stdout, 'data');
  await Promise.race([closed, after(delayMs)]);
  child.kill('SIGKILL');
  await closed;
  // The last line may be cut off.
  const lines = said.split('\n').slice(0, -1);
  const counts = lines.filter((line) => line !== 'done').map(Number);
  return { found: counts[0] ?? 0, told: counts.at(-1) ?? 0, isDone: lines.includes('done') };
}

test('a process that is killed while a blob comes in leaves what it had, and the next goes on with it', async (t) => {
  const fix = await fixture(t);
  const archive = tar(
    Array.from({ length: 100 }, (_, i) => ({
      name: `f${i}`,
      content: randomBytes(40_000).toString('latin1'),
    })),
  );
  const path = join(fix.root, 'archive');
  writeFileSync(path, archive);
  const digest = digestOf(archive);
  await fix.storage.close();
  let told = 0;
  let isDone = false;
  for (let kill = 0; kill < KILLS && !isDone; kill++) {
    const run = await takeAndKill(fix.root, path, 30 * (kill + 1));
    assert.ok(run.found >= told, `${run.found} bytes are left of ${told}`);
    ({ told, isDone } = run);
    if (isDone) break;
    const place = (folder: string): string => join(fix.root, 'content', folder, digest.slice(7));
    // The last steps come after the blob has its own name.
    const isPublished = !existsSync(place('partial'));
    const kept = readFileSync(place(isPublished ? 'blobs/sha256' : 'partial'));
    assert.deepEqual(kept, archive.subarray(0, kept.length));
    assert.ok(kept.length >= told);
    if (isPublished) break;
  }
  if (!isDone) assert.ok((await takeAndKill(fix.root, path, 60_000)).isDone);
  await fix.reopen();
  const [layer] = fix.storage.snapshotter.layers();
  assert.equal(layer?.diffId, digest);
  assert.equal(layer?.blob, digest);
  assert.equal(await fix.storage.content.verify(digest), true);
  await fix.storage.snapshotter.idle();
  assert.deepEqual(await fix.storage.intakes.partials(), []);
  assert.equal(
    readdirSync(join(fix.root, 'overlay2')).filter((name) => name.startsWith('.staged-')).length,
    0,
  );
});
