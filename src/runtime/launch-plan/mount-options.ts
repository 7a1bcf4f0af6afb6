import { ATTR, PROPAGATION } from './kernel-numbers.ts';

/** What a mount's options mean, in the order in which later ones win. */
export interface MountOptions {
  readonly bind: boolean;
  readonly recursive: boolean;
  /** MOUNT_ATTR_* that this mount gets, and those that were named to be off. */
  readonly set: number;
  readonly cleared: number;
  /** The same for everything below it, too. */
  readonly treeSet: number;
  readonly treeCleared: number;
  /** In order: type and whether it holds for everything below. */
  readonly propagation: readonly { readonly type: number; readonly recursive: boolean }[];
  readonly copyUp: boolean;
  readonly idmap: 'none' | 'mount' | 'tree';
  /** What is left: options of the file system itself; `ro` is one of its super block, too. */
  readonly data: readonly string[];
}

/** `on`: the attribute gets set. `0`: accepted, means nothing here. */
const ATTRIBUTES: Readonly<Record<string, { readonly bits: number; readonly on: boolean }>> = {
  ro: { bits: ATTR.readonly, on: true },
  rw: { bits: ATTR.readonly, on: false },
  nosuid: { bits: ATTR.nosuid, on: true },
  suid: { bits: ATTR.nosuid, on: false },
  nodev: { bits: ATTR.nodev, on: true },
  dev: { bits: ATTR.nodev, on: false },
  noexec: { bits: ATTR.noexec, on: true },
  exec: { bits: ATTR.noexec, on: false },
  noatime: { bits: ATTR.noatime, on: true },
  atime: { bits: ATTR.noatime, on: false },
  strictatime: { bits: ATTR.strictatime, on: true },
  nostrictatime: { bits: ATTR.strictatime, on: false },
  nodiratime: { bits: ATTR.nodiratime, on: true },
  diratime: { bits: ATTR.nodiratime, on: false },
  nosymfollow: { bits: ATTR.nosymfollow, on: true },
  symfollow: { bits: ATTR.nosymfollow, on: false },
};

/** Of the super block: given to the file system, not to a bind. */
const SUPER_BLOCK = new Set(['sync', 'dirsync', 'lazytime', 'mand']);
const WITHOUT_MEANING = new Set([
  'defaults',
  'async',
  'iversion',
  'noiversion',
  'loud',
  'silent',
  'nolazytime',
  'nomand',
  'remount',
  'norelatime',
]);
const RELATIVE_TIME = { bits: ATTR.noatime | ATTR.strictatime, on: false };

const PROPAGATIONS: Readonly<Record<string, number>> = {
  private: PROPAGATION.private,
  slave: PROPAGATION.slave,
  shared: PROPAGATION.shared,
  unbindable: PROPAGATION.unbindable,
};

/** `rprivate` and `private`, by their names; undefined for any other word. */
export function propagationOf(name: string): { type: number; recursive: boolean } | undefined {
  const type = PROPAGATIONS[name];
  if (type !== undefined) return { type, recursive: false };
  const below = name.startsWith('r') ? PROPAGATIONS[name.slice(1)] : undefined;
  return below === undefined ? undefined : { type: below, recursive: true };
}

/** Every option with a meaning of its own, for those who ask what this runtime knows. */
export function knownMountOptions(): string[] {
  const names = Object.keys(ATTRIBUTES);
  const propagations = Object.keys(PROPAGATIONS);
  const all = [
    ...['bind', 'rbind', 'tmpcopyup', 'idmap', 'ridmap', 'relatime', 'rrelatime', 'rnorelatime'],
    ...names,
    ...names.map((name) => `r${name}`),
    ...propagations,
    ...propagations.map((name) => `r${name}`),
    ...SUPER_BLOCK,
    ...WITHOUT_MEANING,
  ];
  return [...new Set(all)].sort();
}

interface Bits {
  set: number;
  cleared: number;
}

function apply(bits: Bits, { bits: mask, on }: { bits: number; on: boolean }): void {
  if (on) {
    bits.set |= mask;
    bits.cleared &= ~mask;
  } else {
    bits.set &= ~mask;
    bits.cleared |= mask;
  }
}

export function parseMountOptions(options: readonly string[]): MountOptions {
  const own: Bits = { set: 0, cleared: 0 };
  const tree: Bits = { set: 0, cleared: 0 };
  const propagation: { type: number; recursive: boolean }[] = [];
  const data: string[] = [];
  const flags = { bind: false, recursive: false, copyUp: false };
  let idmap: MountOptions['idmap'] = 'none';
  for (const option of options) {
    const attribute = ATTRIBUTES[option];
    const below = option.startsWith('r') ? ATTRIBUTES[option.slice(1)] : undefined;
    const spread = propagationOf(option);
    if (attribute !== undefined) apply(own, attribute);
    else if (option === 'bind' || option === 'rbind') {
      flags.bind = true;
      flags.recursive ||= option === 'rbind';
    } else if (spread !== undefined) propagation.push(spread);
    else if (below !== undefined) apply(tree, below);
    else if (option === 'relatime') apply(own, RELATIVE_TIME);
    else if (option === 'rrelatime') apply(tree, RELATIVE_TIME);
    else if (option === 'tmpcopyup') flags.copyUp = true;
    else if (option === 'idmap' || option === 'ridmap') idmap = option === 'idmap' ? 'mount' : 'tree';
    else if (SUPER_BLOCK.has(option) || !isWithoutMeaning(option)) data.push(option);
  }
  const { set: treeSet, cleared: treeCleared } = tree;
  return { ...flags, ...own, treeSet, treeCleared, propagation, idmap, data };
}

function isWithoutMeaning(option: string): boolean {
  return option === '' || option === 'rnorelatime' || WITHOUT_MEANING.has(option);
}

/** mount_setattr wants all bits of the access time cleared whenever one of its settings is meant. */
export function changeOf(set: number, cleared: number): { set: number; clear: number } {
  const time = (set | cleared) & (ATTR.noatime | ATTR.strictatime);
  // Like mount(2): who asks for both gets the strict one.
  const access = set & ATTR.strictatime ? ATTR.strictatime : set & ATTR.noatime;
  const other = ~(ATTR.noatime | ATTR.strictatime);
  return { set: (set & other) | access, clear: (cleared & other) | (time === 0 ? 0 : ATTR.atime) };
}
