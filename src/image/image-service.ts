import type { Readable } from 'node:stream';
import type { ImageExplanation, PrunePlan } from '#api/gantry-images.ts';
import type { ImageHistoryReply } from '#api/generated-image-operations.ts';
import type { ChainId } from '#oci/chain-id.ts';
import type { Digest } from '#oci/digest.ts';
import type { ImageConfig } from '#oci/image-config.ts';
import type { Platform } from '#oci/platform.ts';
import type { Reference } from '#oci/reference.ts';
import type { Credentials } from '#registry/credentials.ts';
import type { SearchResult } from '#registry/client.ts';
import type { CommitRequest } from './commit-request.ts';
import type { ImageDifference } from './explanation.ts';

/** One image, whole: its config and all of its layers are there. */
export interface Image {
  /** `sha256:…` of the config document. */
  readonly id: Digest;
  readonly config: ImageConfig;
  /** Top layer; null for an image without layers. */
  readonly chainId: ChainId | null;
  /** The image this one was built or committed from here, or empty. */
  readonly parent: Digest | '';
  /** Familiar names, `busybox:latest`. */
  readonly repoTags: readonly string[];
  readonly repoDigests: readonly string[];
  /** Sum of the layers' files. */
  readonly sizeBytes: number;
  /** RFC 3339, or empty when it never had a tag here. */
  readonly lastTagTime: string;
}

export interface ContainerUse {
  readonly containerId: string;
  readonly running: boolean;
}

/** The question that points upward: which containers were made from an image. */
export interface ImageUsers {
  containersUsing(imageId: Digest): readonly ContainerUse[];
}

export type ImageAction = 'tag' | 'untag' | 'delete' | 'load' | 'import' | 'pull' | 'push';

export interface ImageEvent {
  readonly action: ImageAction;
  /** The image's id; of a pull or push the name that was asked for. */
  readonly id: string;
  /** Labels and `name`. */
  readonly attributes: Readonly<Record<string, string>>;
}

/** A line of the progress stream of load, import, pull, push: JSON as the API has it, keys in this order. */
export interface ImageProgress {
  readonly stream?: string;
  readonly status?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
  /** The same as a bar, for clients that draw none themselves. */
  readonly progress?: string;
  readonly id?: string;
  readonly aux?: Readonly<Record<string, unknown>>;
}

export type RemovedImage = { readonly Untagged: string } | { readonly Deleted: string };

/** Filters as the API parses them: key → values. */
export type ImageFilters = ReadonlyMap<string, readonly string[]>;

export interface ListOptions {
  readonly all?: boolean;
  readonly filters?: ImageFilters;
  readonly sharedSize?: boolean;
}

/** `ImageSummary` of the API. */
export interface ImageSummary {
  readonly Id: string;
  readonly ParentId: string;
  readonly RepoTags: readonly string[];
  readonly RepoDigests: readonly string[];
  /** Unix seconds. */
  readonly Created: number;
  readonly Size: number;
  readonly SharedSize: number;
  readonly Labels: Readonly<Record<string, string>> | null;
  readonly Containers: number;
}

export type ImageHistoryItem = ImageHistoryReply[number];

export interface LoadOptions {
  /** Ends it while its archive is still being read. */
  readonly signal?: AbortSignal;
  readonly quiet?: boolean;
  readonly platforms?: readonly Platform[];
  readonly onProgress: (line: ImageProgress) => void;
}

export interface ImportOptions {
  /** Repository, with or without a tag; empty: no name. */
  readonly repo?: string;
  readonly tag?: string;
  readonly message?: string;
  /** Dockerfile instructions. */
  readonly changes?: readonly string[];
  readonly platform?: Platform;
}

export interface PullOptions {
  /** Every tag of the repository. */
  readonly all?: boolean;
  readonly platform?: Platform;
  readonly credentials: Credentials | null;
  /** Aborted when the client is gone: what has come so far is kept for the next try. */
  readonly signal: AbortSignal;
  readonly onProgress: (line: ImageProgress) => void;
}

export interface PushOptions {
  readonly platform?: Platform;
  readonly credentials: Credentials | null;
  /** Aborted when the client is gone. */
  readonly signal: AbortSignal;
  readonly onProgress: (line: ImageProgress) => void;
}

export type PlannedState = 'layer' | 'blob' | 'partial' | 'missing';

/** What a pull would bring. */
export interface PullPlan {
  readonly reference: string;
  /** Of what the name stands for: the manifest, or the index it was chosen from. */
  readonly digest: Digest;
  readonly imageId: Digest;
  readonly platform: string;
  /** The image is here, and the name stands for it. */
  readonly upToDate: boolean;
  /** Base first. */
  readonly layers: readonly {
    readonly digest: Digest;
    readonly sizeBytes: number;
    /** Unpacked, here as an archive, begun, or not here at all. */
    readonly state: PlannedState;
    readonly haveBytes: number;
  }[];
  readonly downloadBytes: number;
}

export interface SearchOptions {
  readonly limit: number;
  readonly filters: ImageFilters;
  readonly credentials: Credentials | null;
}

/** `DistributionInspect` of the API. */
export interface DistributionFacts {
  readonly Descriptor: { readonly mediaType: string; readonly digest: Digest; readonly size: number };
  readonly Platforms: readonly Readonly<Record<string, unknown>>[];
}

export interface RemoveOptions {
  readonly force?: boolean;
  readonly noPrune?: boolean;
  readonly platform?: Platform;
}

export interface ImageService {
  /**
   * By name, whole or short id, or digest. Errors: `notFound` (`No such image: x:latest`),
   * `invalidArgument`.
   */
  resolve(nameOrId: string, platform?: Platform): Promise<Image>;
  /** By whole id; null when it is not here. */
  get(id: Digest): Image | null;
  count(): number;
  list(options?: ListOptions): Promise<readonly ImageSummary[]>;
  /** `ImageInspect` of the API. */
  inspect(nameOrId: string, platform?: Platform): Promise<Record<string, unknown>>;
  history(nameOrId: string, platform?: Platform): Promise<readonly ImageHistoryItem[]>;
  load(source: AsyncIterable<Uint8Array>, options: LoadOptions): Promise<void>;
  /** Returns the new image's id. */
  importTar(source: AsyncIterable<Uint8Array>, options: ImportOptions): Promise<Digest>;
  /** The same with an archive that is fetched. Errors: as of `importTar`, the server's. */
  importUrl(
    url: string,
    options: ImportOptions & Pick<PushOptions, 'signal' | 'onProgress'>,
  ): Promise<Digest>;
  /** Returns the new image's id. Errors: `notFound` when the parent is gone. */
  commit(request: CommitRequest): Promise<Digest>;
  /** Why each layer is there, and who uses it. */
  explain(nameOrId: string): Promise<ImageExplanation>;
  /** What leads from one image to the other; `files` must be read to its end or left. */
  diff(before: string, after: string): Promise<ImageDifference>;
  planPrune(filters: ImageFilters): Promise<PrunePlan>;
  save(names: readonly string[], platform?: Platform): Promise<Readable>;
  /**
   * Brings an image from its registry. Nothing is reported before its manifest is known. Errors: `notFound`,
   * `permissionDenied`, `invalidArgument`, the registry's; the signal's reason.
   */
  pull(reference: Reference, options: PullOptions): Promise<void>;
  /**
   * Sends an image to its registry; without a tag all of the repository. Errors: `notFound` for a platform
   * that the image does not have, before anything is reported; the registry's.
   */
  push(reference: Reference, options: PushOptions): Promise<void>;
  /** What `pull` would do; nothing is changed. Errors: as of `pull`. */
  planPull(
    reference: Reference,
    options: Pick<PullOptions, 'platform' | 'credentials' | 'signal'>,
  ): Promise<PullPlan>;
  /** Whether a registry takes these credentials. */
  login(credentials: Credentials): Promise<{ readonly status: string; readonly identityToken: string }>;
  search(term: string, options: SearchOptions): Promise<readonly SearchResult[]>;
  /** What a registry has under a name. */
  distribution(reference: Reference, credentials: Credentials | null): Promise<DistributionFacts>;
  tag(nameOrId: string, repo: string, tag: string): Promise<void>;
  remove(nameOrId: string, options?: RemoveOptions): Promise<readonly RemovedImage[]>;
  /** Removes dangling images (`dangling=false`: all unused). */
  prune(
    filters: ImageFilters,
  ): Promise<{ readonly deleted: readonly RemovedImage[]; readonly spaceReclaimedBytes: number }>;
  /** Removes what nothing needs any more; worth calling after a container of a removed image went. */
  collectGarbage(): Promise<void>;
  /** Keeps an image from being removed while a container is made from it. */
  hold(id: Digest): { release(): void };
}
