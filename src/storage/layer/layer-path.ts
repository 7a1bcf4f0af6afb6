import { EngineError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';

const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';
const META = '.wh..wh.';
/** A part that is empty, `.` or `..`; a NUL. */
const ODD_PART = /\0|(?:^|\/)\.{0,2}(?:\/|$)/;

/**
 * An archive's path as one inside the tree: absolute ones begin at the tree's root, and one that climbs above
 * it is refused. The empty string is the root. Errors: `invalidArgument`.
 */
export function normalizePath(path: string, what: 'entry name' | 'hardlink target' = 'entry name'): string {
  const plain = path.slice(path.startsWith('./') ? 2 : 0, path.endsWith('/') ? -1 : undefined);
  // Too short to be too deep.
  if (plain.length < LIMITS.tarDepth && !ODD_PART.test(plain)) return plain;
  if (path.includes('\0')) throw new EngineError('invalidArgument', 'archive/tar: invalid tar header');
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.pop() === undefined) {
      const shown = Buffer.from(path, 'latin1').toString();
      throw new EngineError('invalidArgument', `invalid ${what} "${shown}"`);
    }
  }
  if (parts.length > LIMITS.tarDepth) {
    throw new EngineError('invalidArgument', `archive/tar: path deeper than ${LIMITS.tarDepth} directories`);
  }
  return parts.join('/');
}

export function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '' : path.slice(0, slash);
}

export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

export type Whiteout =
  | { readonly kind: 'opaque' }
  | { readonly kind: 'remove'; readonly name: string }
  | { readonly kind: 'ignored' };

/**
 * What a name says about the layers below (OCI image-spec layer.md); null for an ordinary name. Errors:
 * `invalidArgument`.
 */
export function whiteoutOf(name: string): Whiteout | null {
  if (!name.startsWith(WHITEOUT)) return null;
  if (name === OPAQUE) return { kind: 'opaque' };
  // Other `.wh..wh.` names are AUFS's own files, which mean nothing here.
  if (name.startsWith(META)) return { kind: 'ignored' };
  const target = name.slice(WHITEOUT.length);
  if (target === '' || target === '.' || target === '..') {
    throw new EngineError('invalidArgument', `invalid whiteout name "${name}"`);
  }
  return { kind: 'remove', name: target };
}
