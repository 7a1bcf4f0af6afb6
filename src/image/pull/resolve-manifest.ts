import { EngineError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { foreignSystem, layersMismatch, noRootfsInPulled } from '#api/messages.ts';
import { chainIds, type ChainId } from '#oci/chain-id.ts';
import type { Digest } from '#oci/digest.ts';
import { parseNewImageConfig, type ImageConfig } from '#oci/image-config.ts';
import type { ImageIndex, Manifest } from '#oci/manifest.ts';
import { configPlatform, platformRuns, type Platform } from '#oci/platform.ts';
import type { Reference } from '#oci/reference.ts';
import type { Repository } from '#registry/client.ts';
import { RegistryError } from '#registry/errors.ts';
import type { ContentStore } from '#storage/content-store.ts';
import { choosePlatform } from './choose-platform.ts';
import { checkImageManifest, parseSaying, readDocument, type Document } from './documents.ts';
import { configError, manifestError } from './pull-errors.ts';

export interface RemoteSource {
  readonly repository: Repository;
  readonly content: ContentStore;
  /** Whose images are chosen from lists when nobody names a platform. */
  readonly host: Platform;
}

/** An image in a registry: what is known of it before any of its layers is fetched. */
export interface RemoteImage {
  readonly manifest: Document<Manifest>;
  /** The list that it was chosen from. */
  readonly index: Document<ImageIndex> | null;
  /** Of the config: the image's id. */
  readonly id: Digest;
  readonly configBytes: Buffer;
  readonly config: ImageConfig;
  /** It is for the platform that was asked for: its config says so, or the list that it was chosen from. */
  readonly fits: boolean;
  readonly chain: readonly ChainId[];
}

/** A document that is here already is not fetched again: registries count what is fetched. */
async function documentBy(
  { repository, content }: RemoteSource,
  of: { readonly digest: Digest; readonly mediaType: string; readonly tag: string | null },
): Promise<Document> {
  const { digest, mediaType, tag } = of;
  if (await content.has(digest))
    return await readDocument({
      digest,
      mediaType,
      bytes: await content.readAll(digest, LIMITS.manifestBytes),
    });
  try {
    return await readDocument(await repository.manifest(digest));
  } catch (error) {
    // Somebody may have moved the tag, and removed what it stood for, since it was looked up.
    if (tag === null || !(error instanceof RegistryError) || error.status !== 404) throw error;
    return await readDocument(await repository.manifest(tag));
  }
}

/** What a name stands for. Errors: `notFound` and others, with the reference's texts. */
export async function resolveRoot(source: RemoteSource, reference: Reference): Promise<Document> {
  const { digest, tag } = reference;
  try {
    const head = await source.repository.head(digest ?? tag ?? 'latest');
    return await documentBy(source, {
      digest: head.digest,
      mediaType: head.mediaType,
      tag: digest === null ? tag : null,
    });
  } catch (error) {
    throw manifestError(error, reference);
  }
}

/** From a list to the manifest for a platform. Errors: `notFound`, `invalidArgument`. */
async function resolveManifest(
  source: RemoteSource,
  root: Document,
  platform: Platform | undefined,
): Promise<{ readonly manifest: Document<Manifest>; readonly isListed: boolean }> {
  let document = root;
  let isListed = false;
  for (let depth = 0; document.content.kind === 'index'; depth++) {
    if (depth === LIMITS.indexDepth)
      throw new EngineError('invalidArgument', 'lists of manifests nest too deeply');
    const { digest, mediaType, platform: named } = choosePlatform(document.content, platform, source.host);
    isListed = named !== undefined;
    document = await documentBy(source, { digest, mediaType, tag: null });
  }
  return { manifest: document as Document<Manifest>, isListed };
}

async function fetchConfig({ repository, content }: RemoteSource, manifest: Manifest): Promise<Buffer> {
  const { digest } = manifest.config;
  if (await content.has(digest)) return content.readAll(digest, LIMITS.imageConfigBytes);
  try {
    return await repository.blobBytes(manifest.config, LIMITS.imageConfigBytes);
  } catch (error) {
    throw configError(error, digest);
  }
}

/** Everything about an image but its layers. Errors: `notFound`, `invalidArgument`, the registry's. */
export async function resolveImageIn(
  source: RemoteSource,
  root: Document,
  platform: Platform | undefined,
): Promise<RemoteImage> {
  const { manifest, isListed } = await resolveManifest(source, root, platform);
  checkImageManifest(manifest.content);
  const configBytes = await fetchConfig(source, manifest.content);
  const config = await parseSaying(configBytes, (bytes) =>
    parseNewImageConfig(bytes, { noRootfs: noRootfsInPulled(), badDiffId: layersMismatch }),
  );
  if (config.os !== '' && config.os !== 'linux')
    throw new EngineError('invalidArgument', foreignSystem(config.os));
  if (config.diffIds.length !== manifest.content.layers.length)
    throw new EngineError('invalidArgument', layersMismatch());
  return {
    manifest,
    index: root.content.kind === 'index' ? (root as Document<ImageIndex>) : null,
    id: manifest.content.config.digest,
    configBytes,
    config,
    fits: isListed || platform === undefined || platformRuns(platform, configPlatform(config)),
    chain: chainIds(config.diffIds),
  };
}
