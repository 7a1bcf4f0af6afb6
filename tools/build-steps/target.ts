import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { DIST, ROOT } from '../paths.ts';

/** One thing that a build makes. All paths are absolute. */
export interface Target {
  readonly name: string;
  readonly outputs: readonly string[];
  /** Files known to matter before the run; `run` may return more (what a bundler really read). */
  readonly inputs: readonly string[];
  readonly run: () => Promise<readonly string[] | undefined>;
}

interface InputStamp {
  readonly path: string;
  readonly mtimeMs: number;
  readonly sizeBytes: number;
  readonly hash: string;
}

interface Stamp {
  readonly known: readonly string[];
  readonly inputs: readonly InputStamp[];
}

function stampPath(target: Target): string {
  return join(DIST, '.stamps', `${target.name}.json`);
}

function hashOf(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

/**
 * The modification time decides when it is unchanged, else the content: a fresh checkout of the same text
 * builds nothing.
 */
function isUnchanged(input: InputStamp): boolean {
  const path = join(ROOT, input.path);
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined || stat.size !== input.sizeBytes) return false;
  return stat.mtimeMs === input.mtimeMs || hashOf(path) === input.hash;
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index]);
}

function known(target: Target): string[] {
  return target.inputs.map((path) => relative(ROOT, path)).sort();
}

export function isFresh(target: Target): boolean {
  const path = stampPath(target);
  if (!existsSync(path) || !target.outputs.every((output) => existsSync(output))) return false;
  const stamp = JSON.parse(readFileSync(path, 'utf8')) as Stamp;
  return sameList(stamp.known, known(target)) && stamp.inputs.every(isUnchanged);
}

function stampOf(path: string): InputStamp {
  const stat = statSync(path);
  return { path: relative(ROOT, path), mtimeMs: stat.mtimeMs, sizeBytes: stat.size, hash: hashOf(path) };
}

/**
 * Makes one target if it is not fresh. The stamp is taken before the run: an edit during the run builds again
 * next time.
 */
export async function make(target: Target): Promise<'fresh' | 'built'> {
  if (isFresh(target)) return 'fresh';
  const before = new Map(target.inputs.map((path) => [path, stampOf(path)]));
  rmSync(stampPath(target), { force: true });
  const more = (await target.run()) ?? [];
  for (const path of more) if (!before.has(path)) before.set(path, stampOf(path));
  const stamp: Stamp = { known: known(target), inputs: [...before.values()] };
  writeWhole(stampPath(target), JSON.stringify(stamp));
  return 'built';
}

/** Replaces a file in one step, so that a program that starts meanwhile sees the old or the new one. */
export function writeWhole(path: string, content: string | Uint8Array, mode = 0o644): void {
  mkdirSync(dirname(path), { recursive: true });
  const staged = `${path}.${process.pid}.new`;
  writeFileSync(staged, content, { mode });
  renameSync(staged, path);
}

/** Every file below a folder whose name matches; nothing if there is no such folder. */
export function filesBelow(folder: string, pattern: RegExp): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && pattern.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}
