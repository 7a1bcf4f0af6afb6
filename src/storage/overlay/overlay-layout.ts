import { createHash } from 'node:crypto';
import { join } from 'node:path';

const LINK_LENGTH = 26;
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/**
 * The short name of a directory in `l/`, which mount options use instead of the long one. It derives from
 * the long one, so that a directory made again has the same.
 */
export function shortLink(name: string): string {
  const hash = createHash('sha256').update(name).digest();
  let result = '';
  for (let i = 0; i < LINK_LENGTH; i++) result += ALPHABET[(hash[i] ?? 0) & 31];
  return result;
}

/** Paths below `overlay2/`. */
export class OverlayLayout {
  readonly root: string;
  readonly links: string;

  constructor(root: string) {
    this.root = root;
    this.links = join(root, 'l');
  }

  directory(name: string): string {
    return join(this.root, name);
  }

  staged(name: string): string {
    return join(this.root, `.staged-${name}`);
  }

  diff(name: string): string {
    return join(this.root, name, 'diff');
  }

  work(name: string): string {
    return join(this.root, name, 'work');
  }

  merged(name: string): string {
    return join(this.root, name, 'merged');
  }

  link(name: string): string {
    return join(this.links, shortLink(name));
  }
}
