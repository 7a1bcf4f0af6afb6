/** Taking out of a probe's output what differs from one container to the next, and nothing else. */
import { readFileSync, readlinkSync } from 'node:fs';

export type Sections = ReadonlyMap<string, readonly string[]>;

/** `folder` has the root file system in it; `cgroup` is the parent cgroup. */
export interface Volatile {
  readonly folder: string;
  readonly cgroup: string;
}

const HOST_NAMESPACES = new Set(
  ['mnt', 'pid', 'uts', 'ipc', 'net', 'user', 'cgroup', 'time'].map((name) =>
    readlinkSync(`/proc/self/ns/${name}`),
  ),
);
const HOST_DEVICES = new Set(
  readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[2] ?? ''),
);

/**
 * Mount id, parent id and peer groups are numbers of the day; the parent's target is what matters. The kernel
 * lists mounts by the time when they were made, which tells nothing.
 */
function mountinfo(lines: readonly string[]): string[] {
  const targets = new Map(lines.map((line) => [line.split(' ')[0] ?? '', line.split(' ')[4] ?? '']));
  const shown = lines.map((line) => {
    const [, parent = '', device = '', ...rest] = line.split(' ');
    const on = targets.get(parent) ?? 'outside';
    const where = HOST_DEVICES.has(device) ? device : 'new';
    return `on=${on} dev=${where} ${rest.join(' ')}`.replaceAll(
      /\b(shared|master|propagate_from):\d+/g,
      '$1:N',
    );
  });
  return shown.toSorted();
}

function namespaces(lines: readonly string[]): string[] {
  return lines.map((line) => {
    const [name = '', link = ''] = line.split(' ');
    return `${name} ${HOST_NAMESPACES.has(link) ? 'host' : link === '' ? 'none' : 'own'}`;
  });
}

/** Sections of a probe's output, comparable between runtimes. */
export function sectionsOf(output: string, volatile: Volatile): Sections {
  const found = new Map<string, string[]>();
  let current: string[] = [];
  for (const line of output.split('\n')) {
    if (line.startsWith('## ')) found.set(line.slice(3), (current = []));
    else if (line !== '')
      current.push(line.replaceAll(volatile.folder, '<folder>').replaceAll(volatile.cgroup, '<parent>'));
  }
  for (const [name, lines] of found) {
    if (name === 'mountinfo') found.set(name, mountinfo(lines));
    if (name === 'namespaces') found.set(name, namespaces(lines));
  }
  return found;
}

export interface Difference {
  readonly section: string;
  readonly ours: readonly string[];
  readonly theirs: readonly string[];
}

/** Lines that only one of the two has, section by section, in order. */
export function compare(ours: Sections, theirs: Sections): Difference[] {
  const differences: Difference[] = [];
  for (const section of new Set([...ours.keys(), ...theirs.keys()])) {
    const mine = ours.get(section) ?? [];
    const other = theirs.get(section) ?? [];
    if (mine.join('\n') === other.join('\n')) continue;
    const onlyMine = mine.filter((line) => !other.includes(line));
    const onlyTheirs = other.filter((line) => !mine.includes(line));
    differences.push(
      onlyMine.length + onlyTheirs.length === 0
        ? { section, ours: mine, theirs: other }
        : { section, ours: onlyMine, theirs: onlyTheirs },
    );
  }
  return differences;
}
