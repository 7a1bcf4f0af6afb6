/**
 * A disk's flush takes ten milliseconds and more where it is real, so a run may need only what keeps the word
 * given by `create`. Counted in the daemon and in all that it starts.
 */
import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { startDaemon } from '../support/daemon.ts';
import { imageArchive } from '../support/images.ts';

const GANTRYD = join(import.meta.dirname, '../../bin/gantryd');
const FLUSHES = 'fsync,fdatasync,syncfs,sync,sync_file_range';
const MOST = 2;
/** Longer than what the daemon gathers before it writes. */
const AFTERWARDS_MS = 1500;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test(`a run that removes itself flushes at most ${MOST} times`, { timeout: 90_000 }, async () => {
  const folder = await mkdtemp('/tmp/gantry-flushes-');
  try {
    const trace = join(folder, 'trace');
    const executable = join(folder, 'gantryd-traced');
    const strace = `strace -D -f -qq -e trace=${FLUSHES} -e signal=none -o ${trace}`;
    await writeFile(executable, `#!/bin/sh\nexec ${strace} ${GANTRYD} "$@"\n`);
    await chmod(executable, 0o755);
    await using daemon = await startDaemon({ executable });
    await daemon.loadImage(await imageArchive('busybox'));
    /** A call that another one's line cuts in two is counted where it begins. */
    const flushes = async (): Promise<string[]> =>
      (await readFile(trace, 'utf8')).split('\n').filter((line) => /^\d+ +\w+\(/.test(line));
    const runOnce = async (): Promise<void> => {
      const body = { Image: 'busybox', Cmd: ['true'], HostConfig: { AutoRemove: true } };
      const created = await daemon.api('/containers/create', { method: 'POST', body });
      assert.equal(created.status, 201, created.body.toString());
      const { Id } = created.json as { Id: string };
      const removed = daemon.api(`/containers/${Id}/wait?condition=removed`, { method: 'POST' });
      const started = await daemon.api(`/containers/${Id}/start`, { method: 'POST' });
      assert.equal(started.status, 204, started.body.toString());
      assert.equal((await removed).status, 200);
    };
    // The first one also makes what is made once.
    await runOnce();
    await pause(AFTERWARDS_MS);
    const before = await flushes();
    assert.ok(before.length > 0, 'the trace works: loading an image flushes');
    await runOnce();
    await pause(AFTERWARDS_MS);
    const made = (await flushes()).slice(before.length);
    assert.ok(made.length > 0, 'a create is kept');
    assert.ok(made.length <= MOST, made.join('\n'));
  } finally {
    await rm(folder, { recursive: true });
  }
});
