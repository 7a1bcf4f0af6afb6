import type { SpecProcess } from '#oci/runtime-spec.ts';
import { invalid } from './builder.ts';

/**
 * The environment of a process: the last entry of a name counts, and HOME is never missing. Errors:
 * `invalidArgument` for an entry that is none.
 */
export function environmentOf(process: SpecProcess, home: string | undefined): string[] {
  const last = new Map<string, string>();
  for (const [i, entry] of (process.env ?? []).entries()) {
    const at = entry.indexOf('=');
    if (at < 0) throw invalid(`process.env[${i}]`, "invalid environment variable: missing '='");
    if (at === 0) throw invalid(`process.env[${i}]`, 'invalid environment variable: name cannot be empty');
    const name = entry.slice(0, at);
    last.delete(name);
    last.set(name, entry);
  }
  if ((last.get('HOME') ?? 'HOME=') === 'HOME=') last.set('HOME', `HOME=${home ?? '/'}`);
  return [...last.values()];
}

/** Where a command may be: it is looked for like a shell does, but never in the working directory. */
export function programCandidates(command: string, environment: readonly string[]): string[] {
  if (command.includes('/')) return [command];
  const path = environment.find((entry) => entry.startsWith('PATH='))?.slice('PATH='.length) ?? '';
  if (command === '') return [];
  return path
    .split(':')
    .filter((directory) => directory.startsWith('/'))
    .map((directory) => `${directory.replace(/\/+$/, '')}/${command}`);
}
