import { LIMITS } from '#base/limits.ts';
import { isKernelError } from '#host/kernel-error.ts';
import type { Files } from '#host/kernel.ts';
import type { SpecMount } from '#oci/runtime-spec.ts';
import { insideRoot } from './launch-plan/paths.ts';

/*
 * Where mounts go is decided by the image's links, and the launcher resolves them when it mounts. Here the
 * same is asked before anything is made: links that lead in a circle, or through a file. What lies in another
 * mount (a volume's content) is not there yet, and stays the launcher's to refuse.
 */

type Tree = Pick<Files, 'reach' | 'readLink'>;
type Reason = 'ELOOP' | 'ENOTDIR';

const REASONS: Readonly<Record<Reason, string>> = {
  ELOOP: 'too many levels of symbolic links',
  ENOTDIR: 'not a directory',
};
/** As the kernel's. */
const MAX_LINKS = 40;
/** Names looked at for all mounts together: links can be long and many. The launcher has its own bounds. */
const MAX_STEPS = 2000;
/** Names of files are bytes; so each is one character. */
const BYTES = 'latin1';

/**
 * Why a mount cannot go where it is to go, beginning with the JSON path; null when nothing is known against
 * any. Some microseconds for each. Errors: `invalidArgument` for a path out of the root.
 */
export function badMountTarget(tree: Tree, root: number, mounts: readonly SpecMount[]): string | null {
  const targets: string[] = [];
  const walk = { tree, root, steps: 0 };
  for (const [i, { destination }] of mounts.entries()) {
    const from = `mounts[${i}].destination`;
    const target = insideRoot(destination, from);
    const isInside = targets.some((above) => target.startsWith(`${above}/`));
    const reason = isInside ? null : reasonOf(walk, target, targets);
    if (reason !== null) return `${from}: ${JSON.stringify(target)}: ${REASONS[reason]}`;
    targets.push(target);
  }
  return null;
}

/** Trees that were found good for their mounts: the next container of that image has the same. */
export class MountTargets {
  readonly #tree: Tree;
  readonly #good = new Set<string>();

  constructor(tree: Tree) {
    this.#tree = tree;
  }

  /** As `badMountTarget`; `known` names what lies in the root. */
  async bad(
    root: number | Promise<number>,
    mounts: readonly SpecMount[],
    known?: string,
  ): Promise<string | null> {
    if (known === undefined) return badMountTarget(this.#tree, await root, mounts);
    const key = [known, ...mounts.map(({ destination }) => destination)].join('\0');
    // The one that was asked for longest ago is the first.
    const reason = this.#good.delete(key) ? null : badMountTarget(this.#tree, await root, mounts);
    if (reason === null && key.length <= LIMITS.knownFileBytes) this.#good.add(key);
    const [oldest] = this.#good;
    if (this.#good.size > LIMITS.knownTrees && oldest !== undefined) this.#good.delete(oldest);
    return reason;
  }
}

interface Walk {
  readonly tree: Tree;
  readonly root: number;
  steps: number;
}

/** `earlier`: targets of what is mounted before. */
function reasonOf(walk: Walk, target: string, earlier: readonly string[]): Reason | null {
  const { tree, root } = walk;
  const said = tree.reach(root, target);
  // Of anything else the launcher will tell.
  if (said !== 'ELOOP' && said !== 'ENOTDIR' && said !== 'ENOENT') return null;
  // Without any link on the way it is only missing, and will be made.
  if (said === 'ENOENT' && tree.reach(root, target, { noSymlinks: true }) === 'ENOENT') return null;
  if (typeof follow(walk, target, new Set()) !== 'string') return null;
  // Only now it matters where the others are: one of them may lie over what is in the way.
  const covered = new Set<string>();
  for (const one of earlier) {
    const place = follow(walk, one, covered);
    if (Array.isArray(place)) covered.add(place.join('/'));
  }
  const found = follow(walk, target, covered);
  return typeof found === 'string' ? found : null;
}

/**
 * Goes as the launcher does, which makes what is missing and follows links to nothing. The names on the way
 * to where it ends, without links; null inside of another mount, or when it is too far.
 */
function follow(walk: Walk, path: string, covered: ReadonlySet<string>): string[] | Reason | null {
  let at: string[] = [];
  let rest = Buffer.from(path).toString(BYTES).split('/');
  for (let links = 0; ; ) {
    const name = rest.shift();
    if (name === undefined) return at;
    if (name === '..') at.pop();
    if (name === '' || name === '.' || name === '..') continue;
    at.push(name);
    walk.steps += 1;
    if (walk.steps > MAX_STEPS) return null;
    if (covered.has(at.join('/')) && rest.length > 0) return null;
    const link = linkAt(walk, at.join('/'));
    if (link === 'ENOTDIR') return link;
    // Below something missing there is nothing to be found.
    if (link === 'ENOENT' && !rest.includes('..'))
      return [...at, ...rest.filter((one) => one !== '' && one !== '.')];
    if (!Buffer.isBuffer(link)) continue;
    links += 1;
    if (links > MAX_LINKS) return 'ELOOP';
    at.pop();
    const target = link.toString(BYTES);
    if (target.startsWith('/')) at = [];
    rest = [...target.split('/'), ...rest];
  }
}

/** What a link says; null for what is none. */
function linkAt({ tree, root }: Walk, path: string): Buffer | 'ENOENT' | 'ENOTDIR' | null {
  try {
    return tree.readLink(root, Buffer.from(path, BYTES));
  } catch (error) {
    if (isKernelError(error, 'ENOENT')) return 'ENOENT';
    if (isKernelError(error, 'ENOTDIR')) return 'ENOTDIR';
    return null;
  }
}
