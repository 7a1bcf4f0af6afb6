import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { test } from 'node:test';
import { must, run } from '../../support/command.ts';
import { TestDaemon } from '../../support/daemon.ts';
import { dockerIsMissing } from '../../support/e2e.ts';
import { nothingIsBegun, pull, smallLayers } from '../../support/registry/fixture.ts';
import { OPEN_REGISTRY } from '../../support/registry/plan.ts';
import { RegistryGround, startStandin } from '../../support/registry/standin.ts';

const HOST = '127.0.0.1:5000';
const DISK_MIB = 10;
const MIB = 1 << 20;
/** Bytes that no compression makes fewer: the disk is full while they come. */
const large = (path: string) => [{ path, content: randomBytes(6 * MIB) }];
/** Few bytes come; the disk is full while they are unpacked. */
const zeros = [{ path: 'zeros', content: Buffer.alloc(20 * MIB) }];

test('a disk that fills up while an image is pulled: the file is named, and nothing is left', {
  timeout: 120_000,
}, async (context) => {
  const reason = await dockerIsMissing();
  if (reason !== false) return context.skip(reason);
  const folder = await mkdtemp('/tmp/gantry-registry-');
  const daemon = new TestDaemon({});
  try {
    const ground = await RegistryGround.make(folder);
    await daemon.prepare();
    await mkdir(daemon.dataRoot, { recursive: true });
    await must('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MIB}m`, 'tmpfs', daemon.dataRoot]);
    await daemon.start();
    await using standin = await startStandin(daemon, ground, {
      ...{ hosts: { [HOST]: [OPEN_REGISTRY] }, tls: 'none' },
      images: [
        { repository: 'archive', tags: ['v'], layers: [large('one'), large('two')] },
        { repository: 'tree', tags: ['v'], layers: [zeros] },
        { repository: 'small', tags: ['v'], layers: smallLayers('small') },
      ],
    });
    for (const name of ['archive', 'tree']) {
      const { error } = await pull(daemon, `${HOST}/${name}:v`);
      assert.match(
        error,
        /^failed to register layer: write(?: \/(?:one|two|zeros))?: no space left on device$/,
      );
      await nothingIsBegun({ daemon });
      assert.deepEqual(await readdir(`${daemon.dataRoot}/content/blobs/sha256`), []);
    }
    assert.equal((await pull(daemon, `${HOST}/small:v`)).error, '');
    assert.ok((await standin.ledger()).entries.length > 0);
    await daemon.restart('SIGTERM');
    assert.equal((await daemon.api(`/images/${HOST}/small:v`, { method: 'DELETE' })).status, 200);
  } finally {
    await daemon.kill('SIGKILL');
    await run('umount', ['-l', daemon.dataRoot]);
    await rm(daemon.dataRoot, { recursive: true, force: true });
    await daemon[Symbol.asyncDispose]().catch(() => undefined);
    await rm(folder, { recursive: true, force: true });
  }
});
