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

export interface BuiltImage {
  readonly archive: Buffer;
  /** Digest of the configuration: the image's id. */
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

function configOf(image: ImageSource, layers: readonly Buffer[]): Buffer {
  return Buffer.from(
    JSON.stringify({
      created: EPOCH,
      architecture: ARCHITECTURE,
      os: 'linux',
      config: image.config,
      rootfs: { type: 'layers', diff_ids: layers.map(digestOf) },
      history: layers.map(() => ({ created: EPOCH, created_by: 'gantry set-up' })),
    }),
  );
}

/**
 * What `docker save` wrote for years: manifest.json, a configuration, one folder per layer, `repositories`.
 */
export function dockerArchive(image: ImageSource): BuiltImage {
  const layers = image.layers.map(tarOf);
  const config = configOf(image, layers);
  const id = digestOf(config);
  const colon = image.reference.lastIndexOf(':');
  const [name, tag] = [image.reference.slice(0, colon), image.reference.slice(colon + 1)];
  const paths = layers.map((layer) => `${hexOf(digestOf(layer))}/layer.tar`);
  const manifest = [{ Config: `${hexOf(id)}.json`, RepoTags: [image.reference], Layers: paths }];
  const entries: TarEntry[] = layers.flatMap((layer, index) => {
    const path = paths[index] ?? '';
    const folder = path.slice(0, path.indexOf('/') + 1);
    return [
      { path: folder, type: 'directory' as const },
      { path: `${folder}VERSION`, content: '1.0' },
      { path, content: layer },
    ];
  });
  entries.push({ path: `${hexOf(id)}.json`, content: config });
  entries.push({ path: 'manifest.json', content: JSON.stringify(manifest) });
  const repositories = { [name]: { [tag]: hexOf(digestOf(layers.at(-1) ?? Buffer.alloc(0))) } };
  entries.push({ path: 'repositories', content: JSON.stringify(repositories) });
  return { archive: tarOf(entries), id };
}

/** An OCI image layout: an index names the manifest, everything else is a blob. */
export function ociLayout(image: ImageSource): BuiltImage {
  const layers = image.layers.map(tarOf);
  const config = configOf(image, layers);
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
      layers: layers.map((layer) => describe('layer.v1.tar', layer)),
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
  const blobs = [...new Map([...layers, config, manifest].map((blob) => [digestOf(blob), blob]))];
  const archive = tarOf([
    { path: 'blobs/', type: 'directory' },
    { path: 'blobs/sha256/', type: 'directory' },
    ...blobs.map(([digest, content]) => ({ path: `blobs/sha256/${hexOf(digest)}`, content })),
    { path: 'index.json', content: JSON.stringify(index) },
    { path: 'oci-layout', content: '{"imageLayoutVersion":"1.0.0"}' },
  ]);
  return { archive, id: digestOf(config) };
}
