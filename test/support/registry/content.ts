import { createHash, type Hash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { arch } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { type TarEntry, tarOf } from '../../../tools/set-up/tar.ts';
import type { RepositoriesFile, RepositoryRecord } from './plan.ts';

/** Images of a stand-in: their documents and layers, as files that its process serves. */
export interface StandinImage {
  /** Path in the registry, such as `library/busybox`. */
  readonly repository: string;
  readonly tags: readonly string[];
  /** The lowest layer first: entries, or a tar that was made before. */
  readonly layers: readonly (readonly TarEntry[] | Buffer)[];
  readonly config?: Readonly<Record<string, unknown>>;
  readonly compression?: 'gzip' | 'zstd' | 'none';
  readonly documents?: 'docker' | 'oci';
  /** More than one makes an index (or a manifest list); every platform gets the same layers. */
  readonly platforms?: readonly StandinPlatform[];
  /** Of an image without a list, where it is not for this machine. */
  readonly singlePlatform?: StandinPlatform;
  /** Added to the manifest, as `subject` and annotations are. */
  readonly manifestFields?: Readonly<Record<string, unknown>>;
}

export interface StandinPlatform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
  readonly 'os.version'?: string;
  readonly 'os.features'?: readonly string[];
}

export interface BuiltLayer {
  readonly digest: string;
  readonly diffId: string;
  readonly sizeBytes: number;
}

export interface BuiltStandinImage {
  readonly repository: string;
  /** What a tag names: of the index where there is one. */
  readonly digest: string;
  /** Of the manifest for the first platform. */
  readonly manifestDigest: string;
  /** The image's id of the first platform. */
  readonly id: string;
  readonly layers: readonly BuiltLayer[];
}

export const MEDIA = {
  docker: {
    manifest: 'application/vnd.docker.distribution.manifest.v2+json',
    index: 'application/vnd.docker.distribution.manifest.list.v2+json',
    config: 'application/vnd.docker.container.image.v1+json',
    layers: {
      gzip: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
      zstd: 'application/vnd.docker.image.rootfs.diff.tar.zstd',
      none: 'application/vnd.docker.image.rootfs.diff.tar',
    },
  },
  oci: {
    manifest: 'application/vnd.oci.image.manifest.v1+json',
    index: 'application/vnd.oci.image.index.v1+json',
    config: 'application/vnd.oci.image.config.v1+json',
    layers: {
      gzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
      zstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
      none: 'application/vnd.oci.image.layer.v1.tar',
    },
  },
} as const;

export const HERE: StandinPlatform = { os: 'linux', architecture: arch() === 'x64' ? 'amd64' : arch() };

function hex(hash: Hash): string {
  return hash.digest('hex');
}

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${hex(createHash('sha256').update(bytes))}`;
}

function compress(tar: Buffer, kind: 'gzip' | 'zstd' | 'none'): Buffer {
  if (kind === 'none') return tar;
  return kind === 'gzip' ? gzipSync(tar, { level: 6 }) : zstdCompressSync(tar);
}

/** Collects what a stand-in serves, in a folder. */
export class ContentFolder {
  readonly folder: string;
  readonly #repositories: RepositoriesFile = {};

  constructor(folder: string) {
    this.folder = folder;
  }

  async add(image: StandinImage): Promise<BuiltStandinImage> {
    const media = MEDIA[image.documents ?? 'docker'];
    const record = this.#record(image.repository);
    const kind = image.compression ?? 'gzip';
    const layers: BuiltLayer[] = [];
    for (const layer of image.layers) {
      const tar = Buffer.isBuffer(layer) ? layer : tarOf(layer);
      const bytes = compress(tar, kind);
      const digest = await this.blob(record, bytes);
      layers.push({ digest, diffId: digestOf(tar), sizeBytes: bytes.length });
    }
    const children: { digest: string; size: number; platform: StandinPlatform; id: string }[] = [];
    for (const platform of image.platforms ?? [image.singlePlatform ?? HERE]) {
      const config = this.#config(image, { platform, layers });
      const id = await this.blob(record, config);
      const manifest = Buffer.from(
        JSON.stringify({
          schemaVersion: 2,
          mediaType: media.manifest,
          config: { mediaType: media.config, size: config.length, digest: id },
          layers: layers.map(({ digest, sizeBytes }) => ({
            mediaType: media.layers[kind],
            size: sizeBytes,
            digest,
          })),
          ...image.manifestFields,
        }),
      );
      const digest = await this.manifest(record, { bytes: manifest, mediaType: media.manifest });
      children.push({ digest, size: manifest.length, platform, id });
    }
    const [first] = children;
    if (first === undefined) throw new Error('an image for no platform');
    const digest =
      image.platforms === undefined ? first.digest : await this.#index(record, { media, children });
    for (const tag of image.tags) record.tags[tag] = digest;
    await this.save();
    return { repository: image.repository, digest, manifestDigest: first.digest, id: first.id, layers };
  }

  /** Any document under a tag: for those that are wrong. */
  async document(
    path: string,
    document: { readonly tag: string; readonly mediaType: string; readonly bytes: Buffer },
  ): Promise<string> {
    const record = this.#record(path);
    const digest = await this.manifest(record, document);
    record.tags[document.tag] = digest;
    await this.save();
    return digest;
  }

  async addBlob(path: string, bytes: Buffer): Promise<string> {
    const digest = await this.blob(this.#record(path), bytes);
    await this.save();
    return digest;
  }

  async save(): Promise<void> {
    await mkdir(join(this.folder, 'blobs'), { recursive: true });
    await writeFile(join(this.folder, 'repositories.json'), JSON.stringify(this.#repositories));
  }

  #record(path: string): RepositoryRecord {
    return (this.#repositories[path] ??= { tags: {}, manifests: {}, blobs: [] });
  }

  #config(
    image: StandinImage,
    of: { readonly platform: StandinPlatform; readonly layers: readonly BuiltLayer[] },
  ): Buffer {
    return Buffer.from(
      JSON.stringify({
        created: '1970-01-01T00:00:00Z',
        ...of.platform,
        config: image.config ?? { Cmd: ['sh'] },
        rootfs: { type: 'layers', diff_ids: of.layers.map(({ diffId }) => diffId) },
        history: of.layers.map(() => ({ created: '1970-01-01T00:00:00Z', created_by: 'stand-in' })),
      }),
    );
  }

  async #index(
    record: RepositoryRecord,
    of: {
      readonly media: (typeof MEDIA)['docker' | 'oci'];
      readonly children: readonly { digest: string; size: number; platform: StandinPlatform }[];
    },
  ): Promise<string> {
    const bytes = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: of.media.index,
        manifests: of.children.map(({ digest, size, platform }) => ({
          mediaType: of.media.manifest,
          digest,
          size,
          platform,
        })),
      }),
    );
    return this.manifest(record, { bytes, mediaType: of.media.index });
  }

  async manifest(
    record: RepositoryRecord,
    document: { readonly bytes: Buffer; readonly mediaType: string },
  ): Promise<string> {
    const digest = await this.#write(document.bytes);
    record.manifests[digest] = document.mediaType;
    return digest;
  }

  async blob(record: RepositoryRecord, bytes: Buffer): Promise<string> {
    const digest = await this.#write(bytes);
    if (!record.blobs.includes(digest)) record.blobs.push(digest);
    return digest;
  }

  async #write(bytes: Buffer): Promise<string> {
    const digest = digestOf(bytes);
    await mkdir(join(this.folder, 'blobs'), { recursive: true });
    await writeFile(join(this.folder, 'blobs', digest.slice('sha256:'.length)), bytes);
    return digest;
  }
}
