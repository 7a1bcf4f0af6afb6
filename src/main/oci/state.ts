import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { errorCode } from '#base/errors.ts';
import { isJsonObject, parseJson } from '#base/json.ts';
import type { Processes, ProcessIdentity } from '#host/kernel.ts';
import type { ProgramKernel } from '#host/program.ts';
import type { RuntimeSpec } from '#oci/runtime-spec.ts';
import { Failure } from './messages.ts';

export type Status = 'creating' | 'created' | 'running' | 'paused' | 'stopped';

/** `state.json` in a container's directory. */
export interface SavedState {
  readonly version: 1;
  readonly ociVersion: string;
  readonly id: string;
  /** 0 while it is being created; `creator` is at it then. */
  readonly pid: number;
  readonly startTime: number;
  readonly creator?: ProcessIdentity;
  readonly bundle: string;
  readonly rootfs: string;
  /** RFC 3339, nanoseconds. */
  readonly created: string;
  /** Who called, as a number. */
  readonly owner: number;
  /** In all hierarchies, from their top. */
  readonly cgroup: string;
  /** Whether that cgroup was made for this container: only then it is removed. */
  readonly ownsCgroup: boolean;
  /** Its processes keep the session keyring of whoever started them. */
  readonly noKeyring: boolean;
  /** config.json as it was at the creation: exec, update and the hooks go by it. */
  readonly spec: RuntimeSpec;
}

export interface Saved extends SavedState {
  readonly directory: string;
}

const FIFO = 'exec.fifo';
const ID = /^[\w+.-]+$/;
const MAX_ID = 1024;

export const fifoOf = (directory: string): string => join(directory, FIFO);

function checkedId(id: string): string {
  if (!ID.test(id) || id.length > MAX_ID || id === '.' || id === '..')
    throw new Failure('invalid container ID format');
  return id;
}

function isSaved(value: unknown): value is SavedState {
  return (
    isJsonObject(value) &&
    value['version'] === 1 &&
    typeof value['id'] === 'string' &&
    typeof value['pid'] === 'number' &&
    typeof value['startTime'] === 'number' &&
    typeof value['cgroup'] === 'string' &&
    isJsonObject(value['spec'])
  );
}

/** One by one: node's own way never ends where a file system says ENOENT to them, as procfs does. */
function makeDirectories(path: string): void {
  if (statSync(path, { throwIfNoEntry: false }) !== undefined) return;
  makeDirectories(dirname(path));
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
  }
}

/** The containers below one `--root`. */
export class Store {
  readonly root: string;
  readonly #locks: ProgramKernel['locks'];

  constructor(root: string, locks: ProgramKernel['locks']) {
    this.root = root;
    this.#locks = locks;
  }

  directory(id: string): string {
    return join(this.root, checkedId(id));
  }

  ids(): string[] {
    try {
      const entries = readdirSync(this.root, { withFileTypes: true });
      return entries
        .filter((entry) => entry.isDirectory() && ID.test(entry.name))
        .map((entry) => entry.name)
        .sort();
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return [];
      throw error;
    }
  }

  /** Null when there is none. */
  find(id: string): Saved | null {
    const directory = this.directory(id);
    let text: string;
    try {
      text = readFileSync(join(directory, 'state.json'), 'utf8');
    } catch (error) {
      if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return null;
      throw error;
    }
    const value: unknown = parseJson(text, `state of ${id}`);
    if (!isSaved(value)) throw new Failure(`state of ${id}: not a state of this runtime`);
    return { ...value, directory };
  }

  get(id: string): Saved {
    const found = this.find(id);
    if (found === null) throw new Failure('container does not exist');
    return found;
  }

  /** In one step: a reader sees the old or the new state. */
  save(state: Saved): void {
    const { directory, ...saved } = state;
    const staged = join(directory, `state.json.${process.pid}`);
    writeFileSync(staged, JSON.stringify(saved), { mode: 0o600 });
    renameSync(staged, join(directory, 'state.json'));
  }

  /** Takes the name, and its lock. The directory is the container's. */
  async reserve(id: string): Promise<{ directory: string; release: () => void }> {
    const directory = this.directory(id);
    makeDirectories(resolve(this.root));
    try {
      mkdirSync(directory, { mode: 0o711 });
    } catch (error) {
      if (errorCode(error) === 'EEXIST') throw new Failure('container with given ID already exists');
      throw error;
    }
    const release = await this.lock(id);
    if (release === null) throw new Failure('container does not exist');
    return { directory, release };
  }

  /**
   * One changing command at a time for each container. Null when there is no such container, or it has gone
   * while we waited.
   */
  async lock(id: string): Promise<(() => void) | null> {
    const directory = this.directory(id);
    let fd: number;
    try {
      fd = openSync(directory, 'r');
    } catch (error) {
      if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return null;
      throw error;
    }
    await this.#locks.take(fd);
    const still = statSync(directory, { throwIfNoEntry: false });
    const release = (): void => closeSync(fd);
    if (still !== undefined && still.isDirectory() && this.#isOpen(fd, still.ino)) return release;
    release();
    return null;
  }

  #isOpen(fd: number, inode: number): boolean {
    return statSync(`/proc/self/fd/${fd}`).ino === inode;
  }

  /** What `work` returns; the container exists and nobody else changes it meanwhile. */
  async locked<T>(id: string, work: (state: Saved) => Promise<T>): Promise<T> {
    const release = await this.lock(id);
    if (release === null) throw new Failure('container does not exist');
    try {
      return await work(this.get(id));
    } finally {
      release();
    }
  }

  forget(id: string): void {
    rmSync(this.directory(id), { recursive: true, force: true });
  }
}

/** A pid alone is used again: only with its start time it is the container's. */
export function isAlive(processes: Pick<Processes, 'alive'>, { pid, startTime }: SavedState): boolean {
  return pid > 0 && processes.alive({ pid, startTime });
}

export function statusOf(kernel: Pick<ProgramKernel, 'processes' | 'cgroups'>, state: Saved): Status {
  const { creator } = state;
  if (creator !== undefined && state.pid === 0 && kernel.processes.alive(creator)) return 'creating';
  if (!isAlive(kernel.processes, state)) return 'stopped';
  if (statSync(fifoOf(state.directory), { throwIfNoEntry: false }) !== undefined) return 'created';
  return kernel.cgroups().isFrozen(state.cgroup) ? 'paused' : 'running';
}

/** The state that `state`, `list` and the hooks show. */
export interface ShownState {
  readonly ociVersion: string;
  readonly id: string;
  readonly pid: number;
  readonly status: Status;
  readonly bundle: string;
  readonly rootfs: string;
  readonly created: string;
  readonly annotations?: Record<string, string>;
  readonly owner: string;
}

export function shownState(state: Saved, status: Status, owner = ''): ShownState {
  const annotations = state.spec.annotations;
  return {
    ociVersion: state.ociVersion,
    id: state.id,
    pid: status === 'stopped' || status === 'creating' ? 0 : state.pid,
    status,
    bundle: state.bundle,
    rootfs: state.rootfs,
    created: state.created,
    ...(annotations !== undefined && Object.keys(annotations).length > 0 && { annotations }),
    owner,
  };
}
