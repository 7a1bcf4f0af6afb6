import { EngineError } from '#base/errors.ts';
import type { MountRequest } from './model.ts';

/** Options of tmpfs mounts. Pure. */

export const TMPFS_DEFAULTS: readonly string[] = ['noexec', 'nosuid', 'nodev', 'rprivate'];

/** Each group is one setting: of several members the last given counts. */
const FLAG_GROUPS: readonly (readonly string[])[] = [
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
  ['bind', 'rbind'],
  ['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave', 'unbindable', 'runbindable'],
  ['relatime', 'norelatime'],
  ['strictatime', 'nostrictatime'],
];
const FLAGS: ReadonlyMap<string, number> = new Map(
  FLAG_GROUPS.flatMap((group, i) => group.map((flag) => [flag, i] as const)),
);
const DATA: ReadonlySet<string> = new Set(['size', 'mode', 'uid', 'gid', 'nr_inodes', 'nr_blocks', 'mpol']);

/** Defaults and the user's options in one list: a later option replaces an earlier one of its kind. */
export function mergeTmpfsOptions(options: readonly string[]): readonly string[] {
  const seen = new Set<string | number>();
  const kept: string[] = [];
  for (const option of [...options].reverse()) {
    if (option === 'defaults') continue;
    const name = option.split('=', 1)[0] ?? '';
    const kind = FLAGS.get(option) ?? (option.includes('=') && DATA.has(name) ? name : undefined);
    if (kind === undefined)
      throw new EngineError('invalidArgument', `invalid tmpfs option ${JSON.stringify(option)}`);
    if (seen.has(kind)) continue;
    seen.add(kind);
    kept.unshift(option);
  }
  return kept;
}

/**
 * `--tmpfs /run:rw,size=64k`: what stands behind the colon. A wrong option is kept as it is: it fails the
 * start, not the creation, as in the reference.
 */
export function tmpfsFlagOptions(text: string): readonly string[] {
  const all = [...TMPFS_DEFAULTS, ...text.split(',').filter((option) => option !== '')];
  try {
    return mergeTmpfsOptions(all);
  } catch {
    return all;
  }
}

function sizeText(bytes: number): string {
  const units = [
    ['g', 2 ** 30],
    ['m', 2 ** 20],
    ['k', 2 ** 10],
  ] as const;
  const unit = units.find(([, size]) => bytes % size === 0);
  return unit === undefined ? String(bytes) : `${bytes / unit[1]}${unit[0]}`;
}

/** `--mount type=tmpfs,…`. */
export function tmpfsMountOptions(
  options: MountRequest['TmpfsOptions'],
  readOnly: boolean,
): readonly string[] {
  const wanted = [
    ...(readOnly ? ['ro'] : []),
    ...(options?.Mode === undefined || options.Mode === 0 ? [] : [`mode=${options.Mode.toString(8)}`]),
    ...(options?.SizeBytes === undefined || options.SizeBytes === 0
      ? []
      : [`size=${sizeText(options.SizeBytes)}`]),
    ...(options?.Options ?? []).map((pair) => pair.join('=')),
  ];
  return mergeTmpfsOptions([...TMPFS_DEFAULTS, ...wanted]);
}
