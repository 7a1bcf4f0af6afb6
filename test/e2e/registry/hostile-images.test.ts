import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { arch } from 'node:os';
import { tarOf } from '../../../tools/set-up/tar.ts';
import { tar } from '../../integration/storage/archive-builder.ts';
import { canaryIn, hostileLayers, type HostileLayer } from '../../integration/storage/hostile-corpus.ts';
import type { TestDaemon } from '../../support/daemon.ts';
import { digestOf } from '../../support/registry/content.ts';
import { nothingIsBegun, pull, registryTest } from '../../support/registry/fixture.ts';
import { OPEN_REGISTRY } from '../../support/registry/plan.ts';

/*
 * The corpus of hostile layers, each as an image: pulled from a registry, and loaded from an archive. What is
 * refused leaves nothing, what is taken can be removed again, and nothing outside of the trees changes.
 */

const HOST = '127.0.0.1:5000';

function layersOf({ below, members }: HostileLayer): readonly Buffer[] {
  return [...(below === undefined ? [] : [tar(below)]), tar(members)];
}

/** As `docker save` writes it. */
function saved(reference: string, layers: readonly Buffer[]): Buffer {
  const config = JSON.stringify({
    ...{ os: 'linux', architecture: arch() === 'x64' ? 'amd64' : arch() },
    rootfs: { type: 'layers', diff_ids: layers.map(digestOf) },
  });
  const Layers = layers.map((_, index) => `${index}/layer.tar`);
  const manifest = JSON.stringify([{ Config: 'config.json', RepoTags: [reference], Layers }]);
  return tarOf([
    { path: 'config.json', content: config },
    ...layers.map((content, index) => ({ path: Layers[index] ?? '', content })),
    { path: 'manifest.json', content: manifest },
  ]);
}

async function removed(daemon: TestDaemon, reference: string): Promise<void> {
  await daemon.mustDocker(['rmi', reference]);
}

registryTest(
  'hostile layers in images: pulled and loaded, they touch nothing outside',
  { hosts: { [HOST]: [OPEN_REGISTRY] }, tls: 'none', timeoutMs: 240_000 },
  async ({ daemon, standin }) => {
    const canary = canaryIn(daemon.root);
    const corpus = hostileLayers(canary.path);
    for (const [index, layer] of corpus.entries()) {
      const compression = (['none', 'gzip', 'zstd'] as const)[index % 3] ?? 'none';
      await standin.content.add({
        ...{ repository: `team/hostile-${index}`, tags: ['v'], compression },
        layers: layersOf(layer),
      });
    }
    await standin.reload();
    const refused: string[] = [];
    for (const [index, layer] of corpus.entries()) {
      const reference = `${HOST}/team/hostile-${index}:v`;
      const pulled = await pull(daemon, reference);
      canary.check(`pulled: ${layer.name}`);
      if (pulled.error === '') await removed(daemon, reference);
      else refused.push(layer.name);
      await nothingIsBegun({ daemon });
      const archive = `${daemon.root}/hostile.tar`;
      await writeFile(archive, saved(`hostile-${index}:v`, layersOf(layer)));
      const loaded = await daemon.docker(['load', '-i', archive]);
      canary.check(`loaded: ${layer.name}`);
      if (loaded.exit === 0) await removed(daemon, `hostile-${index}:v`);
      await nothingIsBegun({ daemon });
      const told = `${layer.name}: pulled: ${pulled.error}; loaded: ${loaded.stderr}`;
      assert.equal(loaded.exit === 0, pulled.error === '', told);
      if (pulled.error !== '') assert.match(pulled.error, /^failed to register layer: /, told);
    }
    assert.ok(refused.length >= 20 && refused.length < corpus.length, `${refused.length} refused`);
    assert.equal((await daemon.api('/_ping')).status, 200);
  },
);
