import { EngineError } from '#base/errors.ts';

/** Options that exclude each other: the later one of a group wins. */
const FLAG_GROUPS: readonly (readonly string[])[] = [
  ['defaults'],
  ['ro', 'rw'],
  ['suid', 'nosuid'],
  ['dev', 'nodev'],
  ['exec', 'noexec'],
  ['sync', 'async'],
  ['dirsync'],
  ['remount'],
  ['mand', 'nomand'],
  ['atime', 'noatime'],
  ['diratime', 'nodiratime'],
  ['bind'],
  ['rbind'],
  ['relatime', 'norelatime'],
  ['strictatime', 'nostrictatime'],
  ['unbindable', 'runbindable', 'private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave'],
];
const VALUES = new Set(['size', 'mode', 'uid', 'gid', 'nr_inodes', 'nr_blocks', 'mpol']);

/** Default options of a tmpfs that a user asked for. */
export const TMPFS_DEFAULTS: readonly string[] = ['noexec', 'nosuid', 'nodev', 'rprivate'];

/**
 * Options of a tmpfs with those dropped that a later one overrides. Errors: `invalidArgument` with the
 * reference's text for one
 * that no tmpfs takes.
 */
export function mergeTmpfsOptions(options: readonly string[]): string[] {
  const seen = new Set<string>();
  const kept: string[] = [];
  for (const option of [...options].reverse()) {
    if (option === '') continue;
    const key = tmpfsKey(option);
    if (key === undefined)
      throw new EngineError('invalidArgument', `invalid tmpfs option ${JSON.stringify(option)}`);
    if (!seen.has(key)) kept.unshift(option);
    seen.add(key);
  }
  return kept;
}

function tmpfsKey(option: string): string | undefined {
  const group = FLAG_GROUPS.findIndex((names) => names.includes(option));
  if (group >= 0) return `flag ${group}`;
  const at = option.indexOf('=');
  const name = at < 0 ? option : option.slice(0, at);
  return at > 0 && VALUES.has(name) ? name : undefined;
}
