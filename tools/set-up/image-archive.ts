import { createHash } from 'node:crypto';
import { arch } from 'node:os';
import { type TarEntry, tarOf } from './tar.ts';

export interface ImageSource {
  /** With a tag, such as `busybox:latest`. */
  readonly reference: string;
  /** One list of entries per layer, the lowest first. */
  readonly layers: readonly (readonly TarEntry[])[];
  /** The `config` part of the image configuration: Cmd, Env, ExposedPorts … */
  readonly config: Readonly<Record<string, unknown>>;
}

/** A layer as an archive carries it: in memory, or in a file. */
export interface LayerBlob {
  /** Digest of the uncompressed tar. */
  readonly diffId: string;
  /** Digest of the bytes carried: another one than `diffId` when they are compressed. */
  readonly digest: string;
  readonly sizeBytes: number;
  readonly isGzip: boolean;
  readonly body: Pick<TarEntry, 'content' | 'file'>;
}

export type ImageOfLayers = Pick<ImageSource, 'reference' | 'config'> & {
  readonly layers: readonly LayerBlob[];
};

export interface BuiltImage {
  readonly archive: Buffer;
  /** Digest of the configuration: the image's id. */
  readonly id: string;
}

export interface ImageEntries {
  readonly entries: readonly TarEntry[];
  readonly id: string;
}

const ARCHITECTURE = arch() === 'x64' ? 'amd64' : arch();
const EPOCH = '1970-01-01T00:00:00Z';
const JSON_TYPE = 'application/vnd.oci.image';

function digestOf(content: Uint8Array): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}

function hexOf(digest: string): string {
  return digest.slice('sha256:'.length);
}

function layerOf(entries: readonly TarEntry[]): LayerBlob {
  const content = tarOf(entries);
  const digest = digestOf(content);
  return { diffId: digest, digest, sizeBytes: content.length, isGzip: false, body: { content } };
}

function configOf(image: ImageOfLayers): Buffer {
  return Buffer.from(
    JSON.stringify({
      created: EPOCH,
      architecture: ARCHITECTURE,
      os: 'linux',
      config: image.config,
      rootfs: { type: 'layers', diff_ids: image.layers.map(({ diffId }) => diffId) },
      history: image.layers.map(() => ({ created: EPOCH, created_by: 'gantry set-up' })),
    }),
  );
}

/**
 * What `docker save` wrote for years: manifest.json, a configuration, one folder per layer, `repositories`.
 */
export function dockerEntries(image: ImageOfLayers): ImageEntries {
  const config = configOf(image);
  const id = digestOf(config);
  const colon = image.reference.lastIndexOf(':');
  const [name, tag] = [image.reference.slice(0, colon), image.reference.slice(colon + 1)];
  const folders = image.layers.map(({ digest }) => `${hexOf(digest)}/`);
  const paths = folders.map((folder) => `${folder}layer.tar`);
  const manifest = [{ Config: `${hexOf(id)}.json`, RepoTags: [image.reference], Layers: paths }];
  const entries: TarEntry[] = image.layers.flatMap(({ body }, index) => [
    { path: folders[index] ?? '', type: 'directory' as const },
    { path: `${folders[index]}VERSION`, content: '1.0' },
    { path: paths[index] ?? '', ...body },
  ]);
  entries.push({ path: `${hexOf(id)}.json`, content: config });
  entries.push({ path: 'manifest.json', content: JSON.stringify(manifest) });
  const repositories = { [name]: { [tag]: hexOf(image.layers.at(-1)?.digest ?? digestOf(Buffer.alloc(0))) } };
  entries.push({ path: 'repositories', content: JSON.stringify(repositories) });
  return { entries, id };
}

/** An OCI image layout: an index names the manifest, everything else is a blob. */
export function layoutEntries(image: ImageOfLayers): ImageEntries {
  const config = configOf(image);
  const describe = (mediaType: string, content: Uint8Array) => ({
    mediaType: `${JSON_TYPE}.${mediaType}`,
    digest: digestOf(content),
    size: content.length,
  });
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: `${JSON_TYPE}.manifest.v1+json`,
      config: describe('config.v1+json', config),
      layers: image.layers.map(({ digest, sizeBytes, isGzip }) => ({
        mediaType: `${JSON_TYPE}.layer.v1.tar${isGzip ? '+gzip' : ''}`,
        digest,
        size: sizeBytes,
      })),
    }),
  );
  const annotations = {
    'io.containerd.image.name': `docker.io/${image.reference}`,
    'org.opencontainers.image.ref.name': image.reference.slice(image.reference.lastIndexOf(':') + 1),
  };
  const platform = { architecture: ARCHITECTURE, os: 'linux' };
  const index = {
    schemaVersion: 2,
    mediaType: `${JSON_TYPE}.index.v1+json`,
    manifests: [{ ...describe('manifest.v1+json', manifest), annotations, platform }],
  };
  const blobs = new Map(image.layers.map(({ digest, body }) => [digest, body]));
  for (const content of [config, manifest]) blobs.set(digestOf(content), { content });
  const entries: TarEntry[] = [
    { path: 'blobs/', type: 'directory' },
    { path: 'blobs/sha256/', type: 'directory' },
    ...[...blobs].map(([digest, body]) => ({ path: `blobs/sha256/${hexOf(digest)}`, ...body })),
    { path: 'index.json', content: JSON.stringify(index) },
    { path: 'oci-layout', content: '{"imageLayoutVersion":"1.0.0"}' },
  ];
  return { entries, id: digestOf(config) };
}

export function dockerArchive(image: ImageSource): BuiltImage {
  const { entries, id } = dockerEntries({ ...image, layers: image.layers.map(layerOf) });
  return { archive: tarOf(entries), id };
}

export function ociLayout(image: ImageSource): BuiltImage {
  const { entries, id } = layoutEntries({ ...image, layers: image.layers.map(layerOf) });
  return { archive: tarOf(entries), id };
}
