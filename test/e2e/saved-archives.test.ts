import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tar } from '../integration/storage/archive-builder.ts';
import type { TestDaemon } from '../support/daemon.ts';
import { e2e } from '../support/e2e.ts';
import { serveFile } from '../support/file-server.ts';

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
const DOCKER = {
  reference: 'hello:saved',
  id: 'sha256:1a4e5c7c6c1a738ed50e024cac0115b5c630b0918c575b256d53ad686280bb1e',
  layers: [FIRST_LAYER, 'sha256:965e6b5ff526d876a9c7ac7c16c20ee80f01f75ab9ccc6522570136754e1e47d'],
};
const PODMAN = {
  reference: 'localhost/hello:saved',
  id: 'sha256:7877f41248309777753fe9c3c01fc495c59680138e9cf47db9969971aa420293',
  layers: [FIRST_LAYER, 'sha256:ebe3b7d241d502d11abbfb4913f3c0f9d6f413c8d3e11ba41d3be061eb3a199d'],
};

const SAVED: readonly Saved[] = [
  { file: 'docker-save.tar', by: 'docker save', ...DOCKER },
  { file: 'docker-save.tar.bz2', by: 'docker save and bzip2', ...DOCKER },
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

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** Any archive is a file system, one of an image too. */
async function importedLayer(daemon: TestDaemon, reference: string): Promise<void> {
  const plain = await readFile(join(FOLDER, 'docker-save.tar'));
  const format = '{{json .RootFS.Layers}}';
  const inspected = await daemon.mustDocker(['image', 'inspect', '-f', format, reference]);
  assert.equal(inspected, JSON.stringify([digestOf(plain)]), reference);
}

const SERVER = `
const bytes = require('node:fs').readFileSync(process.argv[1]);
const server = require('node:http').createServer((request, response) => response.end(bytes));
server.listen(8080, '198.18.0.1', () => console.log('ready'));
`;

e2e(
  'an archive packed with bzip2 is imported from a file, stdin and a URL',
  { images: [] },
  async (daemon) => {
    const path = join(FOLDER, 'docker-save.tar.bz2');
    const packed = await readFile(path);
    await daemon.mustDocker(['import', path, 'from:file']);
    await importedLayer(daemon, 'from:file');
    await daemon.mustDocker(['import', '-', 'from:stdin'], { input: packed });
    await importedLayer(daemon, 'from:stdin');
    await using _server = await serveFile(daemon, { program: SERVER, file: path });
    await daemon.mustDocker(['import', 'http://198.18.0.1:8080/layer.tar.bz2', 'from:url']);
    await importedLayer(daemon, 'from:url');
    // Few readers know bzip2: it is saved in another form, and loads again.
    const saved = join(daemon.root, 'saved.tar');
    await daemon.mustDocker(['save', '-o', saved, 'from:file']);
    await daemon.mustDocker(['rmi', 'from:file', 'from:stdin', 'from:url']);
    await daemon.mustDocker(['load', '-i', saved]);
    await importedLayer(daemon, 'from:file');
  },
);

e2e('a layer packed with bzip2 in an archive that is not', { images: [] }, async (daemon) => {
  const [layer, plain] = await Promise.all(
    ['docker-save.tar.bz2', 'docker-save.tar'].map((file) => readFile(join(FOLDER, file))),
  );
  assert.ok(layer !== undefined && plain !== undefined);
  const rootfs = { type: 'layers', diff_ids: [digestOf(plain)] };
  const config = JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs });
  const manifest = [{ Config: 'config.json', RepoTags: ['packed:1'], Layers: ['layer.tar'] }];
  const archive = tar([
    { name: 'config.json', content: config },
    { name: 'layer.tar', content: layer },
    { name: 'manifest.json', content: JSON.stringify(manifest) },
  ]);
  await daemon.mustDocker(['load'], { input: archive });
  await importedLayer(daemon, 'packed:1');
});

e2e('an archive packed with bzip2 that is cut or damaged is refused', { images: [] }, async (daemon) => {
  const packed = await readFile(join(FOLDER, 'docker-save.tar.bz2'));
  const path = join(daemon.root, 'bad.tar.bz2');
  const damaged = Buffer.from(packed).fill(0xa5, 2000, 2064);
  for (const [bad, message] of [
    [packed.subarray(0, -20), /unexpected EOF/],
    [damaged, /damaged compressed archive/],
  ] as const) {
    await writeFile(path, bad);
    for (const args of [
      ['load', '-i', path],
      ['import', path, 'bad:1'],
    ]) {
      const { exit, stderr } = await daemon.docker(args);
      assert.equal(exit, 1);
      assert.match(stderr, message);
    }
  }
  assert.equal(await daemon.mustDocker(['images', '-qa']), '');
});
