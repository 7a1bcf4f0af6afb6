import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { ROOT } from '../paths.ts';

/** A file of the repository: path from the root, and its text. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

const FOLDERS = ['src', 'tools', 'test', 'native', 'bin', '.ci', 'docs'];
const SKIPPED = /^(test\/reference|tools\/data)\/|\/node_modules\//;
const TEXT = /\.(ts|mjs|c|h|sh|md|json)$/;

function isText(path: string): boolean {
  return TEXT.test(path) || path.startsWith('bin/') || path.startsWith('.ci/');
}

/**
 * Every text that people write: sources, scripts and documents, without reference data and generated files.
 */
export function readSources(): SourceFile[] {
  const below = FOLDERS.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(ROOT, join(entry.parentPath, entry.name))),
  );
  const top = readdirSync(ROOT, { withFileTypes: true })
    .filter(
      (entry) => entry.isFile() && /\.(md|json)$/.test(entry.name) && entry.name !== 'package-lock.json',
    )
    .map((entry) => entry.name);
  return [...below, ...top]
    .filter((path) => isText(path) && !SKIPPED.test(path))
    .sort()
    .map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }));
}

/** Prints what is wrong, one line each, and ends with the status that tells the caller. */
export function finish(violations: readonly string[], whenClean: string): void {
  for (const violation of violations) process.stdout.write(`${violation}\n`);
  process.stdout.write(violations.length === 0 ? `${whenClean}\n` : `${violations.length} violations\n`);
  process.exitCode = violations.length === 0 ? 0 : 1;
}
