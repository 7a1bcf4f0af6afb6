import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Buffers travel as pointers, strings as NUL-terminated copies, null as 0. */
export type Argument = number | bigint | string | Uint8Array | Int32Array | null;

export type NativeCall = readonly [number: number, ...args: Argument[]];

/** What `native/addon` exports. Results are the kernel's: errors as -errno. */
export interface Native {
  syscall(...call: NativeCall): number;
  /** One after the other on a thread of their own, each whatever became of the others. */
  syscallsAsync(calls: readonly NativeCall[]): Promise<number[]>;
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
  sendFds(socket: number, fds: Int32Array, message: Uint8Array): number;
  receiveFds(socket: number): Promise<number | [fds: number[], message: Buffer]>;
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
