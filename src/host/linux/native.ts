import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Buffers travel as pointers, strings as NUL-terminated copies, null as 0. */
export type Argument = number | bigint | string | Uint8Array | Int32Array | null;

/** In a batch: what its call of that index gave. */
export type ResultOf = readonly [index: number];

export type NativeCall = readonly [number: number, ...args: (Argument | ResultOf)[]];

/** What `native/addon` exports. Results are the kernel's: errors as -errno. */
export interface Native {
  syscall(number: number, ...args: Argument[]): number;
  /**
   * One after the other on another thread. A call that wants the result of one that failed gives ECANCELED.
   * `spoilsThread`: the calls change the thread itself, so it does nothing else afterwards.
   */
  syscallsAsync(calls: readonly NativeCall[], spoilsThread?: boolean): Promise<number[]>;
  /** The pid, or errno and the step that failed. */
  spawn(
    path: string,
    argv: readonly string[],
    env: readonly string[],
    directory: string | null,
    fds: Int32Array,
    cgroup: number,
    tasksFiles: readonly string[],
  ): Promise<number | [errno: number, step: number]>;
  createNetwork(): Promise<number>;
  /** A user namespace; the maps as /proc/PID/uid_map takes them. */
  createUser(uidMap: string, gidMap: string): Promise<number>;
  /** A network namespace that belongs to a user namespace. */
  createNetworkIn(userns: number): Promise<number>;
  sendFds(socket: number, fds: Int32Array, message: Uint8Array): number;
  receiveFds(socket: number): Promise<number | [fds: number[], message: Buffer]>;
  /** What `EntryBatch` packs. How many were made; throws before the first when they are not well-formed. */
  makeEntries(entries: Uint8Array, content: Uint8Array, umask: number): number;
  /** See `Memory.release`. */
  releaseMemory(): void;
}

/**
 * The package's root: the nearest directory above with a package.json. Right from `src/` and from a bundle in
 * `dist/`.
 */
export function packageRoot(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, 'package.json'))) {
    const parent = dirname(directory);
    if (parent === directory) throw new Error('no package.json above this file');
    directory = parent;
  }
  return directory;
}

export function loadNative(): Native {
  const file = join(packageRoot(), 'dist', 'native', 'gantry.node');
  if (!existsSync(file)) throw new Error(`${file} is missing: run npm run build`);
  return createRequire(import.meta.url)(file) as Native;
}
