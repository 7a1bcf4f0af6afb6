/**
 * Somebody on the host with a rename at hand: on a thread of its own it exchanges names of trees that are
 * being written with links to elsewhere, and back, as fast as it can (RENAME_EXCHANGE: no moment without).
 */
import { mkdirSync, readdirSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { loadNative } from '../../../src/host/linux/native.ts';
import { syscallNumbers } from '../../../src/host/linux/syscall-numbers.ts';

const CWD = -100;
const RENAME_EXCHANGE = 2;
/** Names of one directory that are away at once. */
const NAMES = 8;
const COUNTERS = { stop: 0, swaps: 1, trees: 2 } as const;

interface SwapperData {
  /** `overlay2`, or another folder with staged trees. */
  readonly trees: string;
  /** On the same file system: what is exchanged lies here. */
  readonly away: string;
  readonly target: string;
  readonly counters: Int32Array;
}

export interface Swapped {
  /** Links that stood in a tree. */
  readonly swaps: number;
  /** Trees that at least one stood in. */
  readonly trees: number;
}

export interface Swapper {
  /** Until now. */
  count(): Swapped;
  stop(): Promise<Swapped>;
}

export function startSwapper(options: Omit<SwapperData, 'counters'>): Swapper {
  const counters = new Int32Array(new SharedArrayBuffer(16));
  const workerOptions: SwapperData = { ...options, counters };
  const worker = new Worker(new URL(import.meta.url), { workerData: workerOptions });
  const ended = new Promise<void>((resolve, reject) => {
    worker.once('error', reject);
    worker.once('exit', () => resolve());
  });
  const count = (): Swapped => ({
    swaps: Atomics.load(counters, COUNTERS.swaps),
    trees: Atomics.load(counters, COUNTERS.trees),
  });
  return {
    count,
    stop: async () => {
      Atomics.store(counters, COUNTERS.stop, 1);
      await ended;
      return count();
    },
  };
}

function namesIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** Makes it again when the writer had replaced it, so that something else came back. */
function isLink(link: string, target: string): boolean {
  try {
    if (readlinkSync(link) === target) return true;
  } catch {
    // No link, or nothing.
  }
  try {
    rmSync(link, { recursive: true, force: true });
    symlinkSync(target, link);
    return true;
  } catch {
    // Somebody writes into what came back: later.
    return false;
  }
}

function swapUntilStopped({ trees, away, target, counters }: SwapperData): void {
  const native = loadNative();
  const number = syscallNumbers(process.arch)?.renameat2;
  if (number === undefined) throw new Error(`no system calls are known for ${process.arch}`);
  const exchange = (one: string, other: string): boolean =>
    native.syscall(number, CWD, one, CWD, other, RENAME_EXCHANGE) === 0;
  const links = Array.from({ length: NAMES }, (_, index) => join(away, `link-${index}`));
  const met = new Set<string>();
  const swap = (directory: string): number => {
    const names = namesIn(directory);
    const from = Math.floor(Math.random() * Math.max(1, names.length - NAMES));
    const pairs = names
      .slice(from, from + NAMES)
      .map((name, index) => [links[index] ?? '', join(directory, name)] as const);
    const swapped = pairs.filter(([link, path]) => isLink(link, target) && exchange(link, path));
    for (const [link, path] of swapped) exchange(link, path);
    return swapped.length;
  };
  mkdirSync(away, { recursive: true });
  while (Atomics.load(counters, COUNTERS.stop) === 0)
    for (const name of namesIn(trees).filter((each) => each.startsWith('.staged-'))) {
      const count = swap(join(trees, name, 'diff'));
      if (count === 0) continue;
      Atomics.add(counters, COUNTERS.swaps, count);
      met.add(name);
      Atomics.store(counters, COUNTERS.trees, met.size);
    }
  rmSync(away, { recursive: true, force: true });
}

if (!isMainThread) swapUntilStopped(workerData as SwapperData);
