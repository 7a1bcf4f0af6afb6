/**
 * `gantry-shim overlay`: detached overlay mounts for kernels whose mount API takes no list of lower layers.
 */
import assert from 'node:assert/strict';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { createKernel } from '#host/real.ts';
import { mountsOf } from './runc-container.ts';
import { SHIM_BINARY } from './shim-harness.ts';

const LAYERS = 127;
const kernel = createKernel();
const skip = process.getuid?.() !== 0 && 'needs root';

/** Layers `0` (top) to the last one, each with a file of its own and one that all of them have. */
function makeLayers(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'gantry-shim-overlay-'));
  t.after(() => rmSync(directory, { recursive: true }));
  for (let index = 0; index < LAYERS; index++) {
    const layer = join(directory, `layer-with-a-long-name-${index}`);
    mkdirSync(layer);
    writeFileSync(join(layer, `file-${index}`), '');
    writeFileSync(join(layer, 'same'), String(index));
    symlinkSync(layer, join(directory, String(index)));
  }
  for (const name of ['u', 'w']) mkdirSync(join(directory, name));
  return directory;
}

async function overlay(
  directory: string,
  options: string,
): Promise<{ fds: readonly number[]; text: string }> {
  const [ours, theirs] = kernel.sockets.pair();
  try {
    const child = await kernel.processes
      .spawn({
        path: SHIM_BINARY,
        argv: ['gantry-shim', 'overlay', directory, options],
        env: {},
        fds: new Map([
          [2, theirs],
          [3, theirs],
        ]),
      })
      .finally(() => closeSync(theirs));
    const { fds, message } = await kernel.sockets.receiveFds(ours);
    await child.exited;
    return { fds, text: message.toString() };
  } finally {
    closeSync(ours);
  }
}

test('an overlay of 127 layers, by descriptor, unseen by the host', { skip }, async (t) => {
  const directory = makeLayers(t);
  const lower = Array.from({ length: LAYERS }, (_, index) => index).join(':');
  const { fds, text } = await overlay(directory, `lowerdir=${lower},upperdir=u,workdir=w`);
  const [mount] = fds;
  assert.ok(mount !== undefined, text);
  try {
    const root = `/proc/self/fd/${mount}`;
    assert.equal(readdirSync(root).length, LAYERS + 1);
    assert.equal(readFileSync(join(root, 'same'), 'utf8'), '0');
    writeFileSync(join(root, 'written'), 'x');
    assert.deepEqual(readdirSync(join(directory, 'u')), ['written']);
    assert.ok(!mountsOf('self').includes(directory));
  } finally {
    closeSync(mount);
  }
});

test('what fails is said with its step', { skip }, async (t) => {
  const directory = makeLayers(t);
  assert.match((await overlay(directory, 'lowerdir=nowhere')).text, /^error: mount overlay: 2\n$/);
  assert.match((await overlay('/no/such', 'lowerdir=0')).text, /^error: open directory: 2\n$/);
  assert.match((await overlay(directory, 'x'.repeat(4096))).text, /^error: options: 7\n$/);
});
