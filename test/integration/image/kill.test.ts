import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as after } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { dockerArchive, imageFixture } from './image-fixture.ts';

const CHILD = fileURLToPath(new URL('./loading-child.ts', import.meta.url));
const KILLS = Number(process.env['GANTRY_TEST_KILLS'] ?? '8');

/** Loads in another process and kills it some time after it began; true when it had ended before. */
async function loadAndKill(root: string, archive: string, delayMs: number): Promise<boolean> {
  const child = spawn(process.execPath, [CHILD, root, archive], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await once(child.stdout, 'data');
  const ended = once(child, 'exit');
  await Promise.race([ended, after(delayMs)]);
  child.kill('SIGKILL');
  await ended;
  return said.includes('loaded');
}

test('a load that is killed leaves a whole image or none, and nothing else', async (t) => {
  const layers = [0, 1, 2].map((n) =>
    Array.from({ length: 300 }, (_, i) => ({ name: `d${n}/f${i}`, content: 'x'.repeat(3000) })),
  );
  const fix = await imageFixture(t);
  const archive = join(fix.root, 'archive.tar');
  writeFileSync(archive, dockerArchive([{ names: ['x:1'], layers }]));
  await fix.storage.close();
  for (let round = 0; round < KILLS; round++) {
    const loaded = await loadAndKill(fix.root, archive, round * 40);
    await fix.reopen();
    const [image, more] = await fix.images.list();
    assert.equal(more, undefined);
    if (loaded) assert.deepEqual(image?.RepoTags, ['x:1']);
    if (image === undefined) {
      assert.deepEqual(fix.storage.snapshotter.layers(), []);
      assert.deepEqual(readdirSync(join(fix.root, 'content/blobs/sha256')), []);
    } else {
      assert.equal(image.Size, 3 * 300 * 3000);
      const { id } = await fix.images.resolve(image.Id);
      for (const layer of fix.storage.snapshotter.layers())
        assert.ok(await fix.storage.content.verify(layer.blob));
      await fix.images.remove(id, { force: true });
    }
    await fix.storage.snapshotter.idle();
    const left = readdirSync(join(fix.root, 'overlay2')).filter(
      (name) => name !== 'l' && name !== '.removed',
    );
    assert.deepEqual(left, []);
    assert.deepEqual(readdirSync(join(fix.root, 'overlay2/l')), []);
    assert.deepEqual(readdirSync(join(fix.root, 'content/ingest')), []);
    await fix.storage.close();
  }
});
