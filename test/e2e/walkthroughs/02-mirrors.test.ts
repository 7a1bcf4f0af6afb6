import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { dockerIsMissing } from '../../support/e2e.ts';
import { startDaemon, TestDaemon } from '../../support/daemon.ts';
import { smallLayers } from '../../support/registry/fixture.ts';
import { OPEN_REGISTRY, type RegistryRole } from '../../support/registry/plan.ts';
import { RegistryGround, startStandin } from '../../support/registry/standin.ts';

const mirror: RegistryRole = { ...OPEN_REGISTRY, mirrorOf: 'docker.io' };

test('02: a mirror that stalls does not hold up a pull', { timeout: 120_000 }, async (context) => {
  const reason = await dockerIsMissing();
  if (reason !== false) return context.skip(reason);
  const folder = await mkdtemp('/tmp/gantry-registry-');
  try {
    const ground = await RegistryGround.make(folder);
    const mirrors = ['http://127.0.0.1:5001/', 'http://127.0.0.1:5002/'];
    await using daemon = await startDaemon({ config: { 'registry-mirrors': mirrors } });
    await using standin = await startStandin(daemon, ground, {
      hosts: { '127.0.0.1:5001': [mirror], '127.0.0.1:5002': [mirror] },
      images: [{ repository: 'library/busybox', tags: ['latest'], layers: smallLayers('mirrored') }],
      faults: [{ host: '127.0.0.1:5001', act: { kind: 'stall-before-headers' } }],
    });
    const began = Date.now();
    const said = await daemon.mustDocker(['pull', 'busybox']);
    const tookMs = Date.now() - began;
    // The silence of one mirror is 2 s.
    assert.ok(tookMs < 9000, `it took ${tookMs} ms`);
    assert.match(said, /^Using default tag: latest\n/);
    assert.match(said, /Status: Downloaded newer image for busybox:latest/);
    const { entries } = await standin.ledger();
    assert.ok(
      entries.some(({ host }) => host === '127.0.0.1:5001'),
      'the first mirror was asked',
    );
    assert.ok(entries.some(({ host, status }) => host === '127.0.0.1:5002' && status === 200));
    const info = await daemon.mustDocker(['info']);
    for (const one of mirrors) assert.ok(info.includes(one), info);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('02: a comment in daemon.json is refused', async () => {
  const daemon = new TestDaemon({});
  try {
    await daemon.prepare();
    const text = '{\n  # mirrors\n  "registry-mirrors": ["http://127.0.0.1:5001"]\n}\n';
    await writeFile(`${daemon.root}/daemon.json`, text);
    const refused = await daemon.start().then(
      () => '',
      (error: unknown) => String(error),
    );
    assert.match(refused, /line 2/);
    assert.match(refused, /column 3/);
    assert.match(refused, /JSON has no comments/);
  } finally {
    await rm(daemon.dataRoot, { recursive: true, force: true });
    await daemon[Symbol.asyncDispose]().catch(() => undefined);
  }
});
