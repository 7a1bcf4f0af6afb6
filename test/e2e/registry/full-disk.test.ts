import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { test } from 'node:test';
import { must, run } from '../../support/command.ts';
import { TestDaemon } from '../../support/daemon.ts';
import { dockerIsMissing } from '../../support/e2e.ts';
import { pull, smallLayers } from '../../support/registry/fixture.ts';
import { OPEN_REGISTRY } from '../../support/registry/plan.ts';
import { RegistryGround, startStandin } from '../../support/registry/standin.ts';

const HOST = '127.0.0.1:5000';
const DISK_MIB = 32;
const big = [{ path: 'big', content: randomBytes(20 << 20) }];

test('a disk that fills up while an image is pulled', { timeout: 120_000 }, async (context) => {
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
        { repository: 'big', tags: ['v'], layers: [big] },
        { repository: 'small', tags: ['v'], layers: smallLayers('small') },
      ],
    });
    const { error } = await pull(daemon, `${HOST}/big:v`);
    assert.match(error, /no space left on device/);
    assert.equal((await pull(daemon, `${HOST}/small:v`)).error, '');
    assert.ok((await standin.ledger()).entries.length > 0);
    const staged = await readdir(`${daemon.dataRoot}/overlay2`);
    assert.deepEqual(
      staged.filter((name) => name.startsWith('.staged')),
      [],
    );
    assert.deepEqual(await readdir(`${daemon.dataRoot}/content/partial`), []);
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
