import * as fs from 'node:fs';
import { createHash } from 'node:crypto';
import type { Files } from '#host/kernel.ts';

/** Changes trees at random, the same way for the same seed, and says what a tree looks like. */

type Random = (below: number) => number;

/** A small generator of its own, so that a failure can be repeated. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

const NAMES: readonly Buffer[] = [
  ...['a', 'b', 'c', 'dir', 'file.txt', '.hidden', 'with space', 'ümläut', '.wha', 'new\nline'].map((name) =>
    Buffer.from(name),
  ),
  Buffer.from([0xff, 0xfe, 0x41]),
  Buffer.from('n'.repeat(255)),
  Buffer.from(`${'p'.repeat(99)}é`),
];

const join = (...parts: readonly Buffer[]): Buffer =>
  Buffer.concat(parts.flatMap((part, index) => (index === 0 ? [part] : [Buffer.from('/'), part])));

/** Everything below a directory that is one itself. */
function directories(root: Buffer): Buffer[] {
  const found = [root];
  for (const name of fs.readdirSync(root, { encoding: 'buffer' })) {
    const path = join(root, name);
    if (fs.lstatSync(path).isDirectory()) found.push(...directories(path));
  }
  return found;
}

type Change = (of: {
  readonly path: Buffer;
  readonly root: string;
  readonly random: Random;
  files: Files;
}) => void;

function withRoot(path: Buffer, files: Files, work: (root: number, name: Buffer) => void): void {
  const at = path.lastIndexOf(0x2f);
  const root = files.openRoot('/');
  try {
    const parent = files.open(root, path.subarray(1, at), { directory: true });
    try {
      work(parent, path.subarray(at + 1));
    } finally {
      files.close(parent);
    }
  } finally {
    files.close(root);
  }
}

const CAPABILITY = Buffer.from([1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);

/** Links lead out of the tree, to the machine's own files: nothing here may follow one. */
function write(path: Buffer, content: string): void {
  const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
  const fd = fs.openSync(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK, 0o644);
  try {
    fs.writeSync(fd, content);
  } finally {
    fs.closeSync(fd);
  }
}

function changeMode(path: Buffer, mode: number): void {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
  const fd = fs.openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    fs.fchmodSync(fd, mode);
  } finally {
    fs.closeSync(fd);
  }
}

const CHANGES: readonly Change[] = [
  ({ path, random }) => write(path, 'x'.repeat(random(5000))),
  ({ path, random }) => write(path, String(random(1e9))),
  ({ path }) => fs.mkdirSync(path),
  ({ path }) => fs.mkdirSync(path),
  ({ path, random }) =>
    fs.symlinkSync(['/etc/no-such-file', '../..', 'a/b', '/proc/self/root'][random(4)] ?? '', path),
  ({ path }) => fs.rmSync(path.toString('latin1') === '' ? '' : path, { recursive: true, force: true }),
  ({ path }) => {
    fs.rmSync(path, { recursive: true, force: true });
    fs.mkdirSync(path);
    write(join(path, Buffer.from('fresh')), 'fresh');
  },
  ({ path }) => {
    fs.rmSync(path, { recursive: true, force: true });
    write(path, 'a file now');
  },
  ({ path, random }) => changeMode(path, [0o4755, 0o1777, 0o600, 0o2750][random(4)] ?? 0o644),
  ({ path, random }) => fs.lchownSync(path, random(70_000), 3_000_000 + random(10)),
  ({ path, random }) => fs.lutimesSync(path, random(2 ** 31), random(2 ** 31)),
  ({ path, root, random }) => {
    const all = directories(Buffer.from(root));
    fs.linkSync(path, join(all[random(all.length)] ?? path, NAMES[random(NAMES.length)] ?? path));
  },
  ({ path, root, random }) => {
    const all = directories(Buffer.from(root));
    fs.renameSync(path, join(all[random(all.length)] ?? path, NAMES[random(NAMES.length)] ?? path));
  },
  ({ path, files }) =>
    withRoot(path, files, (parent, name) =>
      files.mknod(parent, name, { type: 'character', mode: 0o640, major: 1, minor: 7 }),
    ),
  ({ path, files }) =>
    withRoot(path, files, (parent, name) => files.mknod(parent, name, { type: 'fifo', mode: 0o622 })),
  ({ path, files }) => {
    write(path, 'capable');
    withRoot(path, files, (parent, name) => {
      files.setXattr(parent, name, { name: 'security.capability', value: CAPABILITY });
      files.setXattr(parent, name, { name: 'user.note', value: Buffer.from('kept') });
    });
  },
];

/** `root` is a path that may be a descriptor's. What is not possible is left out. */
export function changeTree(
  root: string,
  how: { readonly random: Random; readonly count: number; files: Files },
): void {
  const { random, files } = how;
  for (let at = 0; at < how.count; at++) {
    const all = directories(Buffer.from(root));
    const parent = all[random(all.length)] ?? Buffer.from(root);
    const path = join(parent, NAMES[random(NAMES.length)] ?? Buffer.from('x'));
    try {
      CHANGES[random(CHANGES.length)]?.({ path, root, random, files });
    } catch (error) {
      if (!(error instanceof Error) || !('code' in error)) throw error;
    }
  }
}

export interface TreeLook {
  /** Names of one inode, by its first name; not where copies break them up. */
  readonly links: boolean;
  readonly directoryTimes: boolean;
}

/** Every container has them, made when its image's first one was. */
const MOUNT_POINTS = /^\/(\.dockerenv|dev\/console|etc\/(resolv\.conf|hosts|hostname|mtab))$/;
const MOUNT_DIRECTORIES = /^\/(dev|dev\/pts|dev\/shm|etc|proc|sys)$/;

/** One line per name, with everything that an archive of the tree keeps. */
export function describeTree(root: string, files: Files, look: TreeLook): string[] {
  const lines: { text: string; inode: bigint | null }[] = [];
  const names = new Map<bigint, string[]>();
  const visit = (directory: number, prefix: string): void => {
    const listing = files.open(directory, '.', { directory: true });
    const entries = [...files.readDirectory(listing)].sort((a, b) => a.bytes.compare(b.bytes));
    for (const { bytes } of entries) {
      const path = `${prefix}/${bytes.toString('latin1')}`;
      const stat = files.stat(listing, bytes);
      if (MOUNT_POINTS.test(path)) continue;
      const facts: unknown[] = [stat.type, stat.mode.toString(8), stat.uid, stat.gid];
      const hasTime = stat.type !== 'directory' || (look.directoryTimes && !MOUNT_DIRECTORIES.test(path));
      if (hasTime) facts.push(stat.mtime.seconds);
      const inode = look.links && stat.type !== 'directory' ? stat.inode : null;
      if (inode !== null) names.set(inode, [...(names.get(inode) ?? []), path]);
      if (stat.type === 'symlink') facts.push(files.readLink(listing, bytes).toString('latin1'));
      if (stat.type === 'character') facts.push(`${stat.rdev.major}:${stat.rdev.minor}`);
      if (stat.type === 'file') {
        const content = files.readFile(listing, bytes, 1e7);
        facts.push(createHash('sha256').update(content).digest('hex').slice(0, 12));
        for (const name of files.listXattrs(listing, bytes).filter((each) => !each.startsWith('trusted.')))
          facts.push(`${name}=${files.getXattr(listing, bytes, name)?.toString('hex')}`);
      }
      lines.push({ text: `${path} ${facts.join(' ')}`, inode });
      if (stat.type !== 'directory') continue;
      const below = files.open(listing, bytes, { directory: true, noFollow: true });
      visit(below, path);
      files.close(below);
    }
    files.close(listing);
  };
  const fd = files.openRoot(root);
  visit(fd, '');
  files.close(fd);
  return lines.map(({ text, inode }) => {
    const same = (inode === null ? undefined : names.get(inode)) ?? [];
    return same.length < 2 ? text : `${text} = ${same[0]}`;
  });
}
