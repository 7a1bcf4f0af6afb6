import { rename, rm, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '#base/errors.ts';
import type { CarryOut, FileStep } from '#base/file-steps.ts';
import type { LayerRecord } from '../layer/layer-records.ts';
import type { LayerTrees, StagedTree } from '../layer/layer-trees.ts';
import type { Tombstones } from '../layer/tombstones.ts';
import { shortLink, type OverlayLayout } from './overlay-layout.ts';

export interface RootAttributes {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

const DEFAULT_ROOT: RootAttributes = { mode: 0o755, uid: 0, gid: 0 };

/** What makes one directory of `overlay2/`. */
export interface OverlayDirectory {
  /** Where it is written; its short link names `name`. */
  readonly path: string;
  readonly name: string;
  /** Directories below, top first. */
  readonly lower: readonly string[];
  readonly root: RootAttributes;
}

/** Layers as directories `overlay2/<cache id>/{diff,work,link,lower}`. */
export class OverlayTrees implements LayerTrees {
  readonly standAlone = true;
  readonly #layout: OverlayLayout;
  readonly #tombstones: Tombstones;
  readonly #carryOut: CarryOut;
  readonly #parents: (top: LayerRecord) => readonly string[];

  /** `parents` gives the cache ids from a layer down to its base. */
  constructor(
    layout: OverlayLayout,
    deps: { readonly tombstones: Tombstones; readonly carryOut: CarryOut },
    parents: (top: LayerRecord) => readonly string[],
  ) {
    this.#layout = layout;
    this.#tombstones = deps.tombstones;
    this.#carryOut = deps.carryOut;
    this.#parents = parents;
  }

  async stage(name: string): Promise<StagedTree> {
    await this.#carryOut(this.#directorySteps(this.#layout.staged(name), DEFAULT_ROOT));
    return { target: this.target(name), whiteouts: 'overlay' };
  }

  target(name: string): string {
    return join(this.#layout.staged(name), 'diff');
  }

  below(parent: LayerRecord): readonly string[] {
    return this.#parents(parent).map((name) => this.#layout.diff(name));
  }

  async publish(name: string, as: { cacheId: string; parent: LayerRecord | null }): Promise<void> {
    const { cacheId, parent } = as;
    const staged = this.#layout.staged(name);
    const target = this.#layout.directory(cacheId);
    const lower = parent === null ? [] : this.#parents(parent);
    await this.#carryOut(this.#nameSteps({ path: staged, name: cacheId, lower }));
    await this.#tombstones.bury(target);
    await rename(staged, target);
    await this.linkTo(cacheId);
  }

  async discard(name: string): Promise<void> {
    await this.#tombstones.bury(this.#layout.staged(name));
  }

  async exists(cacheId: string): Promise<boolean> {
    return stat(this.#layout.diff(cacheId)).then(
      (found) => found.isDirectory(),
      () => false,
    );
  }

  async remove(cacheId: string): Promise<void> {
    for (const name of [cacheId, `${cacheId}-init`]) {
      await rm(this.#layout.link(name), { force: true });
      await this.#tombstones.bury(this.#layout.directory(name));
    }
  }

  /** What a new directory's root looks like: as the root of the layer below. */
  async rootOf(lower: string | undefined): Promise<RootAttributes> {
    if (lower === undefined) return DEFAULT_ROOT;
    const { mode, uid, gid } = await stat(this.#layout.diff(lower));
    return { mode: mode & 0o7777, uid, gid };
  }

  /** Nothing of this is flushed. */
  async make(directory: OverlayDirectory): Promise<void> {
    await this.#carryOut(this.stepsOf(directory));
  }

  stepsOf(directory: OverlayDirectory): readonly FileStep[] {
    return [...this.#directorySteps(directory.path, directory.root), ...this.#nameSteps(directory)];
  }

  #directorySteps(path: string, { mode, uid, gid }: RootAttributes): readonly FileStep[] {
    return [
      { kind: 'directory', path, mode: 0o710 },
      {
        kind: 'directory',
        path: join(path, 'diff'),
        mode,
        ...((uid !== 0 || gid !== 0) && { owner: { uid, gid } }),
      },
      { kind: 'directory', path: join(path, 'work'), mode: 0o700 },
    ];
  }

  /** Who it is, and on what it stands. */
  #nameSteps({ path, name, lower }: Omit<OverlayDirectory, 'root'>): readonly FileStep[] {
    const parents = lower.map((each) => `l/${shortLink(each)}`).join(':');
    const link: FileStep = {
      kind: 'file',
      path: join(path, 'link'),
      content: shortLink(name),
      mode: 0o644,
    };
    if (lower.length === 0) return [link];
    return [link, { kind: 'file', path: join(path, 'lower'), content: parents, mode: 0o644 }];
  }

  linkStep(name: string): FileStep {
    return { kind: 'symlink', path: this.#layout.link(name), target: join('..', name, 'diff') };
  }

  async linkTo(name: string): Promise<void> {
    await symlink(join('..', name, 'diff'), this.#layout.link(name)).catch((error: unknown) => {
      if (errorCode(error) !== 'EEXIST') throw error;
    });
  }
}
