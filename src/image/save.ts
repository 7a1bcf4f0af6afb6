import { Readable } from 'node:stream';
import { EngineError, isEngineError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { noExportTarget, noSuchImage, noSuchReference } from '#api/messages.ts';
import { MEDIA_TYPES } from '#oci/descriptor.ts';
import { digestHex, digestOf, type Digest } from '#oci/digest.ts';
import { configPlatform, formatPlatform, isPlatform, type Platform } from '#oci/platform.ts';
import {
  familiarName,
  familiarReference,
  formatReference,
  parseAnyReference,
  repositoryName,
  withDefaultTag,
  type Reference,
} from '#oci/reference.ts';
import type { Lease } from '#storage/lease.ts';
import { tarEnd, tarHeader, tarPadding } from '#storage/tar-writer.ts';
import { IMAGE_LOCK, type ImageDeps } from './deps.ts';
import type { Image } from './image-service.ts';
import { keptManifest } from './push/kept-manifest.ts';
import type { SentLayer } from './push/push-plan.ts';
import { sendableLayer } from './push/sendable.ts';
import { resolveImage } from './resolve.ts';
import type { LayerSource } from './store/image-records.ts';

interface Chosen {
  readonly image: Image;
  readonly names: Reference[];
}

/** A file of the archive: bytes at hand, or a layer to be streamed. */
type SavedFile = { readonly path: string; readonly mtime: number } & (
  | { readonly bytes: Buffer }
  | { readonly layer: Digest; readonly sizeBytes: number }
);

/** As in the reference the image has to be for that platform; that it runs there is not enough. */
function checkPlatform({ config }: Image, wanted: Platform): void {
  if (!isPlatform(wanted, configPlatform(config)))
    throw new EngineError('internal', noExportTarget(formatPlatform(wanted)));
}

function choose(deps: ImageDeps, names: readonly string[], platform: Platform | undefined): Chosen[] {
  const chosen = new Map<Digest, Chosen>();
  for (const name of names) {
    for (const { image, names } of asked(deps, name)) {
      if (platform !== undefined) checkPlatform(image, platform);
      const entry = chosen.get(image.id) ?? { image, names: [] };
      chosen.set(image.id, entry);
      entry.names.push(...names);
    }
  }
  return [...chosen.values()];
}

/** The tag that was named; every one of a repository without a tag; for an id none. */
function asked(deps: ImageDeps, name: string): Chosen[] {
  const any = parseAnyReference(name);
  if (any.kind === 'named' && any.reference.tag === null && any.reference.digest === null) {
    const all = taggedIn(deps, any.reference);
    if (all.length > 0) return all;
  }
  const image = resolved(deps, name);
  if (any.kind === 'digest' || any.reference.digest !== null) return [{ image, names: [] }];
  const reference = withDefaultTag(any.reference);
  return [{ image, names: deps.store.lookup(reference) === image.id ? [reference] : [] }];
}

function taggedIn(deps: ImageDeps, repository: Reference): Chosen[] {
  const wanted = repositoryName(repository);
  return deps.store.ids().flatMap((id) => {
    const image = deps.store.get(id);
    const names = deps.store.referencesOf(id).filter((each) => repositoryName(each) === wanted);
    if (image === null || names.length === 0) return [];
    return [{ image, names: names.filter((each) => each.tag !== null && each.digest === null) }];
  });
}

function resolved(deps: ImageDeps, name: string): Image {
  try {
    return resolveImage(deps.store, name);
  } catch (error) {
    if (!isEngineError(error, 'notFound')) throw error;
    const any = parseAnyReference(name);
    const isExact = any.kind === 'named' && (any.reference.tag !== null || any.reference.digest !== null);
    // Here the reference names what was asked for as it was written, or not at all.
    throw new EngineError('notFound', isExact ? noSuchReference() : noSuchImage(name));
  }
}

const NEVER = new AbortController().signal;
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const blobPath = (digest: Digest): string => `blobs/sha256/${digestHex(digest)}`;

const LAYER_TYPES = {
  none: MEDIA_TYPES.ociLayer,
  gzip: MEDIA_TYPES.ociLayerGzip,
  zstd: MEDIA_TYPES.ociLayerZstd,
} as const;

/** A layer's archive as it is kept, whatever it is compressed with: readers tell by its first bytes. */
interface Layer extends SentLayer {
  readonly diffId: Digest;
}

async function keptLayer(deps: ImageDeps, source: LayerSource, lease: Lease): Promise<Layer> {
  const { archives, content } = deps.storage;
  const { diffId, blob } = source;
  const form = await archives.formOf(blob);
  // Of a form that few readers know.
  if (form === 'other') return { diffId, ...(await sendableLayer(deps, source, { lease, signal: NEVER })) };
  return { diffId, digest: blob, sizeBytes: (await content.stat(blob)).sizeBytes, form };
}

/** An OCI manifest that the image came with stays as it is, so that its digest stays valid. */
async function savedLayers(
  deps: ImageDeps,
  image: Image,
  lease: Lease,
): Promise<{ readonly layers: readonly Layer[]; readonly keptDocument: Buffer | null }> {
  const record = deps.store.record(image.id);
  if (record === null) throw new EngineError('notFound', noSuchImage(image.id));
  const came = await keptManifest(deps, record, lease);
  const { diffIds } = image.config;
  if (came !== null && came.manifest.mediaType === MEDIA_TYPES.ociManifest) {
    const layers = came.layers.map((layer, i) => ({ ...layer, diffId: diffIds[i] as Digest }));
    return { layers, keptDocument: came.manifest.bytes };
  }
  const layers: Layer[] = [];
  for (const source of record.layers) layers.push(await keptLayer(deps, source, lease));
  return { layers, keptDocument: null };
}

/**
 * What archives of the first format have besides each layer: a description that names the one below. Readers
 * of that format find the image by it.
 */
function legacyDescriptions(image: Image, layers: readonly Layer[]): Buffer[] {
  const { created, architecture, os } = image.config;
  let parent = '';
  return layers.map(({ diffId }, index) => {
    const isTop = index === layers.length - 1;
    const id = digestHex(digestOf(json([parent, diffId, isTop ? image.id : ''])));
    const description = json({
      id,
      ...(parent !== '' && { parent }),
      created: isTop && created !== null ? created : '1970-01-01T00:00:00Z',
      ...(isTop && { architecture }),
      os,
    });
    parent = id;
    return description;
  });
}

interface SavedImage {
  readonly files: readonly SavedFile[];
  readonly dockerEntry: unknown;
  readonly indexEntries: readonly unknown[];
}

async function savedImage(deps: ImageDeps, { image, names }: Chosen, lease: Lease): Promise<SavedImage> {
  const config = await deps.storage.content.readAll(image.id, LIMITS.imageConfigBytes);
  const { layers, keptDocument } = await savedLayers(deps, image, lease);
  const mtime =
    image.config.created === null ? 0 : Math.max(0, Math.floor(Date.parse(image.config.created) / 1000));
  const sources = layers.map(({ form, digest, sizeBytes }) => ({
    mediaType: LAYER_TYPES[form],
    digest,
    size: sizeBytes,
  }));
  const manifest =
    keptDocument ??
    json({
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.ociManifest,
      config: { mediaType: MEDIA_TYPES.ociConfig, digest: image.id, size: config.length },
      layers: sources,
    });
  const digest = digestOf(manifest);
  const descriptor = { mediaType: MEDIA_TYPES.ociManifest, digest, size: manifest.length };
  const annotated = names.map((name) => ({
    ...descriptor,
    annotations: {
      'io.containerd.image.name': formatReference(name),
      'org.opencontainers.image.ref.name': name.tag,
    },
  }));
  return {
    files: [
      { path: blobPath(image.id), bytes: config, mtime },
      ...layers.map((layer) => ({
        path: blobPath(layer.digest),
        layer: layer.digest,
        sizeBytes: layer.sizeBytes,
        mtime,
      })),
      { path: blobPath(digest), bytes: manifest, mtime },
      ...legacyDescriptions(image, layers).map((bytes) => ({
        path: blobPath(digestOf(bytes)),
        bytes,
        mtime,
      })),
    ],
    dockerEntry: {
      Config: blobPath(image.id),
      RepoTags: names.length === 0 ? null : names.map(familiarReference),
      Layers: sources.map((source) => blobPath(source.digest)),
      LayerSources: Object.fromEntries(
        sources.map(({ mediaType, digest, size }, i) => [layers[i]?.diffId, { mediaType, size, digest }]),
      ),
    },
    indexEntries: annotated.length === 0 ? [descriptor] : annotated,
  };
}

function repositories(chosen: readonly Chosen[]): Buffer {
  const result = new Map<string, Record<string, string>>();
  for (const { image, names } of chosen) {
    for (const name of names) {
      const tags = result.get(familiarName(name)) ?? {};
      tags[name.tag ?? ''] = digestHex(image.config.diffIds.at(-1) ?? image.id);
      result.set(familiarName(name), tags);
    }
  }
  return Buffer.from(`${JSON.stringify(Object.fromEntries(result))}\n`);
}

async function* archive(deps: ImageDeps, chosen: readonly Chosen[], lease: Lease): AsyncGenerator<Buffer> {
  try {
    const images: SavedImage[] = [];
    for (const each of chosen) images.push(await savedImage(deps, each, lease));
    const directory = (path: string): Buffer =>
      tarHeader({ path, type: 'directory', mode: 0o755, sizeBytes: 0, mtimeSeconds: 0 });
    yield directory('blobs/');
    yield directory('blobs/sha256/');
    const files = new Map(images.flatMap((image) => image.files).map((file) => [file.path, file]));
    for (const file of [...files.values()].sort((a, b) => (a.path < b.path ? -1 : 1)))
      yield* fileBytes(deps, file);
    const index = {
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.ociIndex,
      manifests: images.flatMap((each) => each.indexEntries),
    };
    yield* fileBytes(deps, { path: 'index.json', bytes: json(index), mtime: 0 });
    yield* fileBytes(deps, {
      path: 'manifest.json',
      bytes: Buffer.from(`${JSON.stringify(images.map((each) => each.dockerEntry))}\n`),
      mtime: 0,
    });
    yield* fileBytes(deps, {
      path: 'oci-layout',
      bytes: Buffer.from('{"imageLayoutVersion": "1.0.0"}'),
      mtime: 0,
    });
    if (chosen.some(({ names }) => names.length > 0)) {
      yield* fileBytes(deps, { path: 'repositories', bytes: repositories(chosen), mtime: 0 });
    }
    yield tarEnd();
  } finally {
    lease.release();
  }
}

/** Errors: `dataLoss` when it is not as long as it was said: what follows it would be read wrong. */
async function* kept(
  deps: ImageDeps,
  { layer, sizeBytes }: { readonly layer: Digest; readonly sizeBytes: number },
): AsyncGenerator<Buffer> {
  let left = sizeBytes;
  for await (const chunk of deps.storage.content.openStream(layer)) {
    left -= (chunk as Buffer).length;
    yield chunk as Buffer;
  }
  if (left !== 0) throw new EngineError('dataLoss', `content ${layer} is damaged`);
}

async function* fileBytes(deps: ImageDeps, file: SavedFile): AsyncGenerator<Buffer> {
  const sizeBytes = 'bytes' in file ? file.bytes.length : file.sizeBytes;
  yield tarHeader({ path: file.path, type: 'file', mode: 0o644, sizeBytes, mtimeSeconds: file.mtime });
  if ('bytes' in file) yield file.bytes;
  else yield* kept(deps, file);
  yield tarPadding(sizeBytes);
}

/**
 * An archive as `docker save` writes it: an OCI layout with `manifest.json` for older readers. Layers are
 * written as they are kept. Errors: `notFound` before the first byte.
 */
export function saveImages(
  deps: ImageDeps,
  names: readonly string[],
  platform?: Platform,
): Promise<Readable> {
  return deps.mutex.run(IMAGE_LOCK, async () => {
    const chosen = choose(deps, names, platform);
    const lease = deps.storage.leases.open();
    for (const { image } of chosen) {
      const record = deps.store.record(image.id);
      lease.hold(image.id, ...(record?.layers ?? []).map(({ blob }) => blob));
    }
    return Readable.from(archive(deps, chosen, lease), { objectMode: false }).once('close', () =>
      lease.release(),
    );
  });
}
