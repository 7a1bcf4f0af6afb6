import type { ContainerId } from '#base/ids.ts';
import type { ChainId } from '#oci/chain-id.ts';
import type { IdShift } from '#host/kernel.ts';
import type { Digest } from '#oci/digest.ts';
import type { GrowingFile } from './intake.ts';

export type SnapshotterName = 'overlay2' | 'vfs';

/** A layer that is to be unpacked on top of another. */
export interface LayerCommit {
  readonly parent: ChainId | null;
  /** Of the uncompressed archive; verified. */
  readonly diffId: Digest;
  /**
   * The archive in the content store: plain, gzip, zstd, xz or bzip2, told apart by its first bytes. It is
   * kept as long as the layer.
   */
  readonly blob: Digest;
  /** Unpacks even if the layer is there: for one that was found damaged. */
  readonly replace?: boolean;
  readonly signal?: AbortSignal;
}

export interface Layer {
  readonly chainId: ChainId;
  readonly diffId: Digest;
  readonly parent: ChainId | null;
  readonly blob: Digest;
  /** Sum of the sizes of the layer's own files. */
  readonly sizeBytes: number;
}

/** Where the bytes of a layer's archive are: in the content store, or on their way there. */
export type LayerBytes =
  | { readonly blob: Digest }
  /** `digest` null: not known before the end, the result says it. */
  | { readonly growing: GrowingFile; readonly digest: Digest | null };

export interface LayerUnpack {
  readonly bytes: LayerBytes;
  /** Of the uncompressed archive, verified; null: not known, the result says it. */
  readonly diffId: Digest | null;
  /** Bytes of the (compressed) archive read so far, some times a second at most. */
  readonly onProgress?: (readBytes: number) => void;
  readonly signal?: AbortSignal;
}

/** A layer's tree that stands on nothing yet. It must be committed or discarded. */
export interface UnpackedLayer {
  readonly diffId: Digest;
  /** Of the archive as it was read; verified. */
  readonly blobDigest: Digest;
  readonly usage: Usage;
  /** Idempotent; nothing after it was committed. */
  discard(): Promise<void>;
}

/** A user namespace, and the host's ids of its root. */
export type RootfsShift = IdShift;

export interface RootfsHandle {
  /**
   * A detached mount (overlay2) or a directory (vfs), to be attached by the launcher or used with
   * `kernel.files`. It may still be on its way; nobody has to wait for it to begin with the rest.
   */
  readonly fd: Promise<number>;
  /** Nobody had this tree before: it is the image's, with the mount points that every container has. */
  readonly isUntouched: boolean;
  /**
   * Idempotent; never blocks the main thread. What is still being opened is closed then, and not waited for:
   * it may hang.
   */
  close(): Promise<void>;
}

/** Where a container's tree is, for readers on other threads; the paths are the engine's own. */
export interface ContainerTrees {
  /** `overlay`: `upper` has the changes, with overlayfs's marks. `copy`: it is the whole tree. */
  readonly kind: 'overlay' | 'copy';
  readonly upper: string;
  /** What the container did not write, top first: with mount points (`overlay`), the image's (`copy`). */
  readonly lowers: readonly string[];
}

export interface Usage {
  readonly sizeBytes: number;
  readonly inodes: number;
}

/** Unpacked image layers and the writable layers of containers. */
export interface Snapshotter {
  readonly name: SnapshotterName;
  /**
   * Unpacks a layer, once: concurrent and repeated calls share one result. Its parent may be on its way by a
   * call before this one: layers of one image are unpacked side by side. The record is durable after `sync`.
   * Errors: `invalidArgument` for an archive that is broken or not what its diffID says, `notFound` without
   * the parent.
   */
  commitLayer(request: LayerCommit): Promise<Layer>;
  /**
   * The first half of `commitLayer`, for layers that come in any order and side by side: unpacks an archive,
   * also while it is still arriving, and verifies its digest and its diffID in the same pass. Errors:
   * `invalidArgument` for an archive that is broken or not what its digests say; the signal's reason.
   */
  unpack(request: LayerUnpack): Promise<UnpackedLayer>;
  /**
   * The second half: the layer gets its place on its parent, which must exist. A layer that is there already
   * is taken instead. The blob must be in the content store by then.
   */
  commitUnpacked(of: { readonly parent: ChainId | null; readonly unpacked: UnpackedLayer }): Promise<Layer>;
  layer(chainId: ChainId): Layer | null;
  hasLayer(chainId: ChainId): boolean;
  /** Errors: `conflict` while a layer or a container stands on it. */
  removeLayer(chainId: ChainId): Promise<void>;
  /** Where an image's tree is, by its top layer: each layer's changes, or its whole tree; top first. */
  layerTrees(top: ChainId | null): {
    readonly kind: ContainerTrees['kind'];
    readonly paths: readonly string[];
  };
  layerUsage(chainId: ChainId): Promise<Usage>;
  layers(): readonly Layer[];
  /** Makes the records of committed and removed layers durable. One flush. */
  sync(): Promise<void>;

  /**
   * Directories only, nothing flushed: garbage until the container's record names it. `parent` null: an
   * empty root.
   */
  createWritable(id: ContainerId, parent: ChainId | null): Promise<void>;
  hasWritable(id: ContainerId): boolean;
  /** Nobody will ask for its tree again: what is below may go. Its files stay until `removeWritable`. */
  disown(id: ContainerId): void;
  /** Idempotent. What is written in it goes in the background. */
  removeWritable(id: ContainerId): Promise<void>;
  /** What the container wrote itself. */
  writableUsage(id: ContainerId): Promise<Usage>;
  writables(): readonly ContainerId[];
  /**
   * The whole tree of a container, with `shift` as a user namespace sees it. Errors: `notFound`; those of
   * opening it are `fd`'s.
   */
  rootfs(id: ContainerId, shift?: RootfsShift): Promise<RootfsHandle>;
  /** `parent` is what it was made on. Errors: `notFound`. */
  trees(id: ContainerId, parent: ChainId | null): Promise<ContainerTrees>;
  /** What `GraphDriver` shows for a container, or for an image by its top layer. */
  graphDriverData(of: { readonly container: ContainerId } | { readonly layer: ChainId }): GraphDriver;
  /** Waits for background removals: for tests and shutdown. */
  idle(): Promise<void>;
  close(): Promise<void>;
}

export interface GraphDriver {
  readonly name: SnapshotterName;
  readonly data: Readonly<Record<string, string>>;
}
