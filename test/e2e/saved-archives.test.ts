import assert from 'node:assert/strict';
import { join } from 'node:path';
import { e2e } from '../support/e2e.ts';

const FOLDER = join(import.meta.dirname, '../reference/archives');

interface Saved {
  readonly file: string;
  readonly by: string;
  readonly reference: string;
  /** As the engine that saved it said it. */
  readonly id: string;
  readonly layers: readonly string[];
}

const FIRST_LAYER = 'sha256:53c76d046323c78e1adda1eea03e43ac005a23acd239d0673798582155418172';
const PODMAN = {
  reference: 'localhost/hello:saved',
  id: 'sha256:7877f41248309777753fe9c3c01fc495c59680138e9cf47db9969971aa420293',
  layers: [FIRST_LAYER, 'sha256:ebe3b7d241d502d11abbfb4913f3c0f9d6f413c8d3e11ba41d3be061eb3a199d'],
};

const SAVED: readonly Saved[] = [
  {
    file: 'docker-save.tar',
    by: 'docker save',
    reference: 'hello:saved',
    id: 'sha256:1a4e5c7c6c1a738ed50e024cac0115b5c630b0918c575b256d53ad686280bb1e',
    layers: [FIRST_LAYER, 'sha256:965e6b5ff526d876a9c7ac7c16c20ee80f01f75ab9ccc6522570136754e1e47d'],
  },
  { file: 'podman-oci-archive.tar', by: 'podman save --format oci-archive', ...PODMAN },
  { file: 'podman-docker-archive.tar', by: 'podman save --format docker-archive', ...PODMAN },
];

for (const { file, by, reference, id, layers } of SAVED) {
  e2e(`an image that ${by} wrote`, { images: [] }, async (daemon) => {
    const loaded = await daemon.mustDocker(['load', '-i', join(FOLDER, file)]);
    assert.equal(loaded, `Loaded image: ${reference}`);
    const format = '{{.Id}} {{json .RootFS.Layers}}';
    const inspected = await daemon.mustDocker(['image', 'inspect', '-f', format, reference]);
    assert.equal(inspected, `${id} ${JSON.stringify(layers)}`);
    // The program is one for this processor. It fails when the file that the second layer removes is there.
    if (process.arch === 'x64') assert.equal(await daemon.mustDocker(['run', '--rm', reference]), 'hello');
  });
}
