import { nowNanos, rfc3339Nano } from '#base/clock.ts';
import { EngineError, errorMessage } from '#base/errors.ts';
import type { Owner } from '#base/id-mapping.ts';
import { randomId } from '#base/ids.ts';
import { KeyedMutex } from '#base/keyed-mutex.ts';
import type { Log } from '#base/log.ts';
import type { Kernel } from '#host/kernel.ts';
import { makeSource, sourceExists } from './bind-source.ts';
import {
  ANONYMOUS_LABEL,
  type MountInput,
  type MountPoint,
  type VolumeEvent,
  type VolumeView,
} from './model.ts';
import { mountPoints } from './mount-plan.ts';
import type { VolumeService } from './service.ts';
import { treeSize } from './tree-size.ts';
import { VolumeStore, type VolumeRecord } from './volume-store.ts';

export interface VolumeServiceOptions {
  readonly dataRoot: string;
  readonly kernel: Pick<Kernel, 'files'>;
  readonly log: Log;
  /** Of new volumes and of the directories that are made for bind mounts. Default: root. */
  readonly owner?: Owner;
  /** Broadcast only; nothing acts on it. */
  readonly onEvent?: (event: VolumeEvent) => void;
}

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;
const DRIVER_OPTIONS: ReadonlySet<string> = new Set(['type', 'o', 'device', 'size']);

function requireName(name: string): void {
  if (name.length === 1) {
    throw new EngineError(
      'invalidArgument',
      `create ${name}: volume name is too short, names should be at least two alphanumeric characters`,
    );
  }
  if (!NAME.test(name)) {
    throw new EngineError(
      'invalidArgument',
      `create ${name}: "${name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. ` +
        'If you intended to pass a host directory, use absolute path',
    );
  }
}

function requireOptions(
  name: string,
  driver: string,
  options: Readonly<Record<string, string>> | null,
): void {
  if (driver !== '' && driver !== 'local') {
    throw new EngineError(
      'notFound',
      `create ${name}: error looking up volume plugin ${driver}: plugin "${driver}" not found`,
    );
  }
  const unknown = Object.keys(options ?? {}).find((option) => !DRIVER_OPTIONS.has(option));
  if (unknown !== undefined)
    throw new EngineError('invalidArgument', `create ${name}: invalid option: "${unknown}"`);
}

function volumesOf(mounts: readonly MountPoint[]): readonly MountPoint[] {
  return mounts.filter((point) => point.type === 'volume');
}

/** The local driver and who uses what of it. */
class LocalVolumes implements VolumeService {
  readonly #kernel: Pick<Kernel, 'files'>;
  readonly #store: VolumeStore;
  readonly #onEvent: (event: VolumeEvent) => void;
  readonly #log: Log;
  readonly #owner: Owner;
  readonly #volumes = new Map<string, VolumeRecord>();
  readonly #users = new Map<string, Set<string>>();
  readonly #locks = new KeyedMutex();

  constructor(options: VolumeServiceOptions) {
    this.#kernel = options.kernel;
    this.#log = options.log;
    this.#owner = options.owner ?? { uid: 0, gid: 0 };
    this.#onEvent = options.onEvent ?? (() => undefined);
    this.#store = new VolumeStore({
      dataRoot: options.dataRoot,
      files: options.kernel.files,
      log: options.log,
      owner: this.#owner,
    });
  }

  async boot(): Promise<void> {
    for (const record of await this.#store.load()) this.#volumes.set(record.name, record);
  }

  async planMounts(input: MountInput): Promise<readonly MountPoint[]> {
    const points = mountPoints(input);
    for (const point of points) {
      if (
        point.type === 'bind' &&
        !point.createSource &&
        !(await sourceExists(this.#kernel.files, point.source))
      ) {
        throw new EngineError(
          'invalidArgument',
          `invalid mount config for type "bind": bind source path does not exist: ${point.source}`,
        );
      }
    }
    return points;
  }

  async acquire(containerId: string, mounts: readonly MountPoint[]): Promise<readonly MountPoint[]> {
    const acquired: MountPoint[] = [];
    try {
      for (const point of mounts)
        acquired.push(point.type === 'volume' ? await this.#acquireOne(containerId, point) : point);
    } catch (error) {
      await this.release(containerId, { mounts: acquired, removeAnonymous: true });
      throw error;
    }
    return acquired;
  }

  async #acquireOne(containerId: string, point: MountPoint): Promise<MountPoint> {
    const name = point.name === '' ? randomId() : point.name;
    return await this.#locks.run(name, async () => {
      const labels = point.anonymous ? { [ANONYMOUS_LABEL]: '', ...point.volumeLabels } : point.volumeLabels;
      const record = await this.#ensure({ name, driver: point.driver, labels, options: point.volumeOptions });
      const users = this.#users.get(name) ?? new Set();
      this.#users.set(name, users.add(containerId));
      // Named volumes carry the sharing label `z` in `Mode`, anonymous ones nothing: so does the reference.
      const mode = point.mode === '' && !point.anonymous ? 'z' : point.mode;
      return {
        ...point,
        name,
        mode,
        driver: 'local',
        source: this.#store.dataPath(name),
        volumeOptions: record.options,
      };
    });
  }

  async prepareSources(mounts: readonly MountPoint[]): Promise<void> {
    for (const point of mounts) {
      if (point.type !== 'bind' || (await sourceExists(this.#kernel.files, point.source))) continue;
      if (!point.createSource) {
        throw new EngineError(
          'invalidArgument',
          `invalid mount config for type "bind": bind source path does not exist: ${point.source}`,
        );
      }
      await makeSource(this.#kernel.files, point.source, this.#owner);
    }
  }

  async release(
    containerId: string,
    options: { readonly mounts: readonly MountPoint[]; readonly removeAnonymous: boolean },
  ): Promise<void> {
    for (const point of options.mounts) {
      if (point.type !== 'volume') continue;
      await this.#locks.run(point.name, async () => {
        const users = this.#users.get(point.name);
        users?.delete(containerId);
        if (users?.size === 0) this.#users.delete(point.name);
        const unused = this.#users.get(point.name) === undefined;
        if (options.removeAnonymous && point.anonymous && unused && this.#volumes.has(point.name))
          await this.#drop(point.name);
      });
    }
  }

  mounted(containerId: string, mounts: readonly MountPoint[]): void {
    for (const { name, destination, propagation, readOnly } of volumesOf(mounts)) {
      const facts = { container: containerId, destination, driver: 'local', propagation };
      this.#onEvent({
        action: 'mount',
        name,
        attributes: { ...facts, 'read/write': String(!readOnly) },
      });
    }
  }

  unmounted(containerId: string, mounts: readonly MountPoint[]): void {
    for (const { name } of volumesOf(mounts)) {
      this.#onEvent({
        action: 'unmount',
        name,
        attributes: { container: containerId, driver: 'local' },
      });
    }
  }

  restore(containerId: string, mounts: readonly MountPoint[]): void {
    for (const point of mounts) {
      if (point.type !== 'volume' || point.name === '') continue;
      this.#users.set(point.name, (this.#users.get(point.name) ?? new Set()).add(containerId));
    }
  }

  async create(request: Parameters<VolumeService['create']>[0]): Promise<VolumeView> {
    const anonymous = request.name === undefined || request.name === '';
    const name = anonymous ? randomId() : (request.name ?? '');
    const labels = anonymous ? { [ANONYMOUS_LABEL]: '', ...request.labels } : (request.labels ?? null);
    return await this.#locks.run(name, async () => {
      const options =
        request.options === undefined || Object.keys(request.options).length === 0 ? null : request.options;
      return this.#view(await this.#ensure({ name, driver: request.driver ?? '', labels, options }));
    });
  }

  list(): readonly VolumeView[] {
    return [...this.#volumes.values()].map((record) => this.#view(record));
  }

  inspect(name: string): VolumeView {
    return this.#view(this.#require(name));
  }

  async remove(name: string, options: { readonly force?: boolean } = {}): Promise<void> {
    await this.#locks.run(name, async () => {
      if (options.force === true && !this.#volumes.has(name)) return;
      this.#require(name);
      const users = this.usedBy(name);
      if (users.length > 0)
        throw new EngineError('conflict', `remove ${name}: volume is in use - [${users.join(', ')}]`);
      await this.#drop(name);
    });
  }

  async prune(
    isWanted: (volume: VolumeView) => boolean,
  ): Promise<{ readonly names: readonly string[]; readonly sizeBytes: number }> {
    const names: string[] = [];
    let sizeBytes = 0;
    for (const volume of this.list().filter(isWanted)) {
      await this.#locks.run(volume.Name, async () => {
        if (!this.#volumes.has(volume.Name) || this.usedBy(volume.Name).length > 0) return;
        sizeBytes += Math.max(0, await this.sizeBytes(volume.Name));
        await this.#drop(volume.Name);
        names.push(volume.Name);
      });
    }
    return { names, sizeBytes };
  }

  async sizeBytes(name: string): Promise<number> {
    try {
      return await treeSize(this.#kernel.files, this.#store.dataPath(name));
    } catch (error) {
      this.#log.warn('the files of a volume could not be counted', {
        volume: name,
        error: errorMessage(error),
      });
      return -1;
    }
  }

  usedBy(name: string): readonly string[] {
    return [...(this.#users.get(name) ?? [])];
  }

  async #ensure(
    wanted: Pick<VolumeRecord, 'name' | 'labels' | 'options'> & { readonly driver: string },
  ): Promise<VolumeRecord> {
    const existing = this.#volumes.get(wanted.name);
    if (existing !== undefined) return existing;
    requireName(wanted.name);
    requireOptions(wanted.name, wanted.driver, wanted.options);
    const record: VolumeRecord = {
      recordVersion: 1,
      name: wanted.name,
      createdAt: rfc3339Nano(nowNanos()).replace(/\.\d+Z$/, 'Z'),
      labels: wanted.labels,
      options: wanted.options,
    };
    await this.#store.add(record);
    this.#volumes.set(record.name, record);
    this.#onEvent({ action: 'create', name: record.name, attributes: { driver: 'local' } });
    return record;
  }

  async #drop(name: string): Promise<void> {
    await this.#store.remove(name);
    this.#volumes.delete(name);
    this.#onEvent({ action: 'destroy', name, attributes: { driver: 'local' } });
  }

  #require(name: string): VolumeRecord {
    const record = this.#volumes.get(name);
    if (record === undefined) throw new EngineError('notFound', `get ${name}: no such volume`);
    return record;
  }

  #view(record: VolumeRecord): VolumeView {
    return {
      CreatedAt: record.createdAt,
      Driver: 'local',
      Labels: record.labels,
      Mountpoint: this.#store.dataPath(record.name),
      Name: record.name,
      Options: record.options,
      Scope: 'local',
    };
  }
}

export function createVolumeService(options: VolumeServiceOptions): VolumeService {
  return new LocalVolumes(options);
}
