import { join } from 'node:path';
import { errorMessage } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { LIMITS } from '#base/limits.ts';
import { chainIdOf, chainIds, type ChainId } from '#oci/chain-id.ts';
import { digestHex, digestOf, type Digest } from '#oci/digest.ts';
import { parseImageConfig, type ImageConfig } from '#oci/image-config.ts';
import {
  familiarName,
  familiarReference,
  formatReference,
  parseReference,
  type Reference,
} from '#oci/reference.ts';
import type { ContentStore } from '#storage/content-store.ts';
import type { Snapshotter } from '#storage/snapshotter.ts';
import type { Image } from '../image-service.ts';
import { imageHex, parseImageRecord, parseReferenceRecord, RecordDirectory } from './image-records.ts';
import type { ImageRecord, ReferenceRecord } from './image-records.ts';

export interface ImageStoreOptions {
  readonly root: string;
  readonly content: ContentStore;
  readonly snapshotter: Snapshotter;
  readonly log: Log;
}

interface StoredImage {
  readonly record: ImageRecord;
  readonly config: ImageConfig;
  readonly chain: readonly ChainId[];
  readonly sizeBytes: number;
}

interface StoredReference {
  readonly record: ReferenceRecord;
  readonly reference: Reference;
}

/** Of one image: its names in their order, and what others see, until a name changes. */
interface Naming {
  readonly references: readonly StoredReference[];
  image: Image | null;
}

const NAMELESS: readonly StoredReference[] = [];

function viewOf(stored: StoredImage, references: readonly StoredReference[]): Image {
  const names = references.map((each) => each.reference);
  return {
    id: stored.record.id,
    config: stored.config,
    chainId: stored.chain.at(-1) ?? null,
    parent: stored.record.parent,
    repoTags: names.filter((name) => name.digest === null).map(familiarReference),
    repoDigests: names
      .filter((name) => name.digest !== null)
      .map((name) => `${familiarName(name)}@${name.digest}`),
    sizeBytes: stored.sizeBytes,
    lastTagTime:
      references
        .map((each) => each.record.taggedAt)
        .sort()
        .at(-1) ?? '',
  };
}

/**
 * Images and their names: all in memory, each in a durable record. Callers hold the image lock while they
 * change it.
 */
export class ImageStore {
  readonly #options: ImageStoreOptions;
  readonly #imageRecords: RecordDirectory<ImageRecord>;
  readonly #referenceRecords: RecordDirectory<ReferenceRecord>;
  readonly #images = new Map<Digest, StoredImage>();
  readonly #references = new Map<string, StoredReference>();
  /** The same by image, so that a list of images looks at each name once. */
  readonly #naming = new Map<Digest, Naming>();
  readonly #children = new Map<Digest, Set<Digest>>();

  private constructor(options: ImageStoreOptions) {
    this.#options = options;
    const { root, log } = options;
    this.#imageRecords = new RecordDirectory({
      directory: join(root, 'images'),
      what: 'an image record',
      parse: parseImageRecord,
      hexOf: imageHex,
      log,
    });
    this.#referenceRecords = new RecordDirectory({
      directory: join(root, 'references'),
      what: 'a reference record',
      parse: parseReferenceRecord,
      hexOf: (record) => digestHex(digestOf(record.reference)),
      log,
    });
  }

  /** Lists whole images only: one that misses a part is set aside, and a name without an image goes. */
  static async open(options: ImageStoreOptions): Promise<ImageStore> {
    const store = new ImageStore(options);
    for (const record of await store.#imageRecords.readAll()) {
      try {
        await store.#restoreLayers(record);
        store.#keep(await store.#load(record));
      } catch (error) {
        await store.#imageRecords.setAside(record, errorMessage(error));
      }
    }
    for (const record of await store.#referenceRecords.readAll()) {
      if (store.#images.has(record.id)) store.#remember(record);
      else await store.#referenceRecords.remove(record);
    }
    return store;
  }

  /**
   * A layer whose own record was damaged is unpacked again from its archive: the images on top stay.
   */
  async #restoreLayers(record: ImageRecord): Promise<void> {
    const { content, snapshotter, log } = this.#options;
    let parent: ChainId | null = null;
    for (const { diffId, blob } of record.layers) {
      const chainId = chainIdOf(parent, diffId);
      if (!snapshotter.hasLayer(chainId) && (await content.has(blob))) {
        await snapshotter.commitLayer({ parent, diffId, blob });
        log.warn('a lost layer was unpacked again', { layer: chainId, image: record.id });
      }
      parent = chainId;
    }
    await snapshotter.sync();
  }

  async #load(record: ImageRecord): Promise<StoredImage> {
    const { content, snapshotter } = this.#options;
    const config = parseImageConfig(await content.readAll(record.id, LIMITS.imageConfigBytes));
    const chain = chainIds(config.diffIds);
    let sizeBytes = 0;
    for (const chainId of chain) {
      const layer = snapshotter.layer(chainId);
      if (layer === null) throw new Error(`layer ${chainId} is missing`);
      if (!(await content.has(layer.blob))) throw new Error(`the archive of layer ${chainId} is missing`);
      sizeBytes += layer.sizeBytes;
    }
    return { record, config, chain, sizeBytes };
  }

  #remember(record: ReferenceRecord): void {
    this.#forget(record.reference);
    const stored = { record, reference: parseReference(record.reference) };
    this.#references.set(record.reference, stored);
    const others = this.#naming.get(record.id)?.references ?? NAMELESS;
    const references = [...others, stored].sort((a, b) => (a.record.reference < b.record.reference ? -1 : 1));
    this.#naming.set(record.id, { references, image: null });
  }

  #forget(name: string): void {
    const stored = this.#references.get(name);
    if (stored === undefined) return;
    this.#references.delete(name);
    const { id } = stored.record;
    const references = (this.#naming.get(id)?.references ?? NAMELESS).filter((each) => each !== stored);
    this.#naming.set(id, { references, image: null });
  }

  #keep(stored: StoredImage): void {
    const { id, parent } = stored.record;
    this.#images.set(id, stored);
    this.#naming.set(id, { references: this.#naming.get(id)?.references ?? NAMELESS, image: null });
    if (parent === '') return;
    const siblings = this.#children.get(parent) ?? new Set();
    this.#children.set(parent, siblings.add(id));
  }

  has(id: Digest): boolean {
    return this.#images.has(id);
  }

  ids(): readonly Digest[] {
    return [...this.#images.keys()];
  }

  record(id: Digest): ImageRecord | null {
    return this.#images.get(id)?.record ?? null;
  }

  chain(id: Digest): readonly ChainId[] {
    return this.#images.get(id)?.chain ?? [];
  }

  children(id: Digest): readonly Digest[] {
    return [...(this.#children.get(id) ?? [])];
  }

  /** The image as others see it, with its names of this moment. */
  get(id: Digest): Image | null {
    const stored = this.#images.get(id);
    const naming = this.#naming.get(id);
    if (stored === undefined || naming === undefined) return null;
    naming.image ??= viewOf(stored, naming.references);
    return naming.image;
  }

  /** In the order of the names. */
  referencesOf(id: Digest): readonly Reference[] {
    return (this.#naming.get(id)?.references ?? NAMELESS).map((each) => each.reference);
  }

  lookup(reference: Reference): Digest | null {
    return this.#references.get(formatReference(reference))?.record.id ?? null;
  }

  /** Two flushes. Every part of the image is durable already. */
  async add(record: ImageRecord): Promise<void> {
    const stored = await this.#load(record);
    await this.#imageRecords.write(record);
    this.#keep(stored);
  }

  /** One flush. */
  async remove(id: Digest): Promise<void> {
    const stored = this.#images.get(id);
    if (stored === undefined) return;
    await this.#imageRecords.remove(stored.record);
    this.#images.delete(id);
    this.#naming.delete(id);
    if (stored.record.parent !== '') this.#children.get(stored.record.parent)?.delete(id);
  }

  /** Two flushes. */
  async tag(reference: Reference, id: Digest, taggedAt: string): Promise<void> {
    const record: ReferenceRecord = { recordVersion: 1, reference: formatReference(reference), id, taggedAt };
    await this.#referenceRecords.write(record);
    this.#remember(record);
  }

  /** One flush. */
  async untag(reference: Reference): Promise<boolean> {
    const name = formatReference(reference);
    const stored = this.#references.get(name);
    if (stored === undefined) return false;
    await this.#referenceRecords.remove(stored.record);
    this.#forget(name);
    return true;
  }
}
