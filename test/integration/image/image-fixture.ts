import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { silentLog } from '#base/log.ts';
import { createKernel } from '#host/real.ts';
import type { ContainerUse, ImageEvent, ImageProgress, ImageService } from '#image/image-service.ts';
import { openImageService } from '#image/open.ts';
import type { Digest } from '#oci/digest.ts';
import { openStorage, type Storage } from '#storage/storage.ts';
import { noRegistry } from '../../support/no-registry.ts';
import { chunks, digest, tar, type Member } from '../storage/archive-builder.ts';

export interface ImageFixture {
  readonly root: string;
  storage: Storage;
  images: ImageService;
  readonly events: ImageEvent[];
  readonly uses: Map<Digest, readonly ContainerUse[]>;
  /** As after a restart; without `close` as after a kill. */
  reopen(): Promise<void>;
  load(archive: Buffer): Promise<string>;
}

export async function imageFixture(t: TestContext): Promise<ImageFixture> {
  const root = mkdtempSync(join(tmpdir(), 'gantry-image-'));
  const kernel = createKernel();
  const events: ImageEvent[] = [];
  const uses = new Map<Digest, readonly ContainerUse[]>();
  const open = async (): Promise<{ storage: Storage; images: ImageService }> => {
    const storage = await openStorage({
      root,
      kernel,
      bootId: 'boot',
      log: silentLog,
      flushDelayMs: 3_600_000,
    });
    const images = await openImageService({
      root,
      storage,
      registry: noRegistry(),
      log: silentLog,
      engineVersion: '28.5.2',
      users: { containersUsing: (id) => uses.get(id) ?? [] },
      onEvent: (event) => events.push(event),
    });
    return { storage, images };
  };
  const fixture: ImageFixture = {
    root,
    events,
    uses,
    ...(await open()),
    reopen: async () => {
      Object.assign(fixture, await open());
    },
    load: async (archive) => {
      const lines: ImageProgress[] = [];
      await fixture.images.load(chunks(archive), { quiet: true, onProgress: (line) => lines.push(line) });
      return lines.map((line) => line.stream ?? '').join('');
    },
  };
  t.after(async () => {
    await fixture.storage.close();
    rmSync(root, { recursive: true, force: true });
  });
  return fixture;
}

export interface TestImage {
  readonly names: readonly string[];
  readonly layers: readonly (readonly Member[])[];
  readonly config?: Record<string, unknown>;
  readonly created?: string;
}

const hex = (bytes: Buffer): string => digest(bytes).slice('sha256:'.length);
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

function configOf(image: TestImage, layers: readonly Buffer[]): Buffer {
  return json({
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    created: image.created ?? '2024-05-06T07:08:09Z',
    config: image.config ?? { Cmd: ['sh'] },
    rootfs: { type: 'layers', diff_ids: layers.map(digest) },
    history: layers.map(() => ({ created: '2024-05-06T07:08:09Z', created_by: 'ADD files' })),
  });
}

/** As `docker save` of version 25 and later writes it. */
export function dockerArchive(images: readonly TestImage[]): Buffer {
  const files = new Map<string, Buffer>();
  const manifest = images.map((image) => {
    const layers = image.layers.map((members) => tar(members));
    const config = configOf(image, layers);
    for (const layer of layers) files.set(`blobs/sha256/${hex(layer)}`, layer);
    files.set(`blobs/sha256/${hex(config)}`, config);
    return {
      Config: `blobs/sha256/${hex(config)}`,
      RepoTags: image.names.length === 0 ? null : image.names,
      Layers: layers.map((layer) => `blobs/sha256/${hex(layer)}`),
    };
  });
  return tar([
    { name: 'blobs/' },
    { name: 'blobs/sha256/' },
    ...[...files].map(([name, content]) => ({ name, content })),
    { name: 'index.json', content: json({ schemaVersion: 2, manifests: [] }) },
    { name: 'manifest.json', content: json(manifest) },
    { name: 'oci-layout', content: '{"imageLayoutVersion": "1.0.0"}' },
  ]);
}

/** As docker wrote it before version 25: a directory per layer, equal ones as links. */
export function oldDockerArchive(image: TestImage): Buffer {
  const layers = image.layers.map((members) => tar(members));
  const config = configOf(image, layers);
  return tar([
    { name: `${hex(config)}.json`, content: config },
    ...layers.flatMap((content, i) => [
      { name: `layer${i}/` },
      { name: `layer${i}/VERSION`, content: '1.0' },
      { name: `layer${i}/json`, content: '{}' },
      i > 0 && content.equals(layers[0] as Buffer)
        ? { name: `layer${i}/layer.tar`, type: '2', link: '../layer0/layer.tar' }
        : { name: `layer${i}/layer.tar`, content },
    ]),
    {
      name: 'manifest.json',
      content: json([
        {
          Config: `${hex(config)}.json`,
          RepoTags: image.names,
          Layers: layers.map((_, i) => `layer${i}/layer.tar`),
        },
      ]),
    },
  ]);
}

/** As `podman save --format oci-archive` writes it: compressed layers, the name as an annotation. */
export function ociArchive(image: TestImage): Buffer {
  const plain = image.layers.map((members) => tar(members));
  const layers = plain.map((layer) => gzipSync(layer));
  const config = configOf(image, plain);
  const descriptor = (mediaType: string, bytes: Buffer): Record<string, unknown> => ({
    mediaType,
    digest: digest(bytes),
    size: bytes.length,
  });
  const manifest = json({
    schemaVersion: 2,
    config: descriptor('application/vnd.oci.image.config.v1+json', config),
    layers: layers.map((layer) => descriptor('application/vnd.oci.image.layer.v1.tar+gzip', layer)),
  });
  const index = {
    schemaVersion: 2,
    manifests: image.names.map((name) => ({
      ...descriptor('application/vnd.oci.image.manifest.v1+json', manifest),
      annotations: { 'org.opencontainers.image.ref.name': name },
    })),
  };
  return tar([
    ...[config, manifest, ...layers].map((content) => ({ name: `blobs/sha256/${hex(content)}`, content })),
    { name: 'index.json', content: json(index) },
    { name: 'oci-layout', content: '{"imageLayoutVersion": "1.0.0"}' },
  ]);
}
