import type { SpecInput } from '../spec-input.ts';

const DEFAULT_PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * `overrides` put on top of `base`: a known name is replaced in its place, an unknown one appended, `NAME`
 * without `=` removes.
 * Entries without a name are dropped; they cannot be set by anybody.
 */
export function replaceOrAppend(base: readonly string[], overrides: readonly string[]): string[] {
  const result = new Map<string, string>();
  for (const entry of base) {
    const name = nameOf(entry);
    if (name !== '' && !result.has(name)) result.set(name, entry);
  }
  for (const entry of overrides) {
    const name = nameOf(entry);
    if (name === '' || entry.includes('\0')) continue;
    if (entry.includes('=')) result.set(name, entry);
    else result.delete(name);
  }
  return [...result.values()];
}

function nameOf(entry: string): string {
  const at = entry.indexOf('=');
  return at < 0 ? entry : entry.slice(0, at);
}

/** HOME is left to the OCI runtime, which takes it from the user's passwd entry unless it is set. */
export function containerEnvironment(input: SpecInput): string[] {
  const base = [DEFAULT_PATH, `HOSTNAME=${input.hostname}`, ...(input.terminal ? ['TERM=xterm'] : [])];
  return replaceOrAppend(base, input.env);
}
