import * as messages from '#api/messages.ts';
import { EngineError } from '#base/errors.ts';
import type { Owner } from '#base/id-mapping.ts';
import type { RootFd, RootTreePort } from '../ports.ts';

export interface TreeWish {
  readonly workingDir: string;
  readonly isFirst: boolean;
  /** Root of the container, in the host's ids. */
  readonly owner: Owner;
}

interface Tree {
  readonly tree: RootTreePort;
  readonly rootFd: RootFd;
  readonly owner: Owner;
}

async function makeDirectories({ tree, rootFd, owner }: Tree, path: string): Promise<void> {
  let current = '';
  for (const part of path.split('/').filter((word) => word !== '')) {
    current += `/${part}`;
    const kind = await tree.kindOf(rootFd, current);
    if (kind === 'other')
      throw new EngineError('invalidArgument', messages.workingDirectoryNotDirectory(current));
    if (kind === 'missing') await tree.makeDirectory(rootFd, current, owner);
  }
}

/** What the reference puts into every container's tree, and the working directory. */
export async function prepareTree(tree: RootTreePort, rootFd: RootFd, wish: TreeWish): Promise<void> {
  const { owner } = wish;
  const place = { tree, rootFd, owner };
  if (wish.isFirst) {
    await makeDirectories(place, '/etc');
    await tree.ensureFile(rootFd, '/.dockerenv', owner);
    await tree.ensureSymlink(rootFd, { path: '/etc/mtab', target: '/proc/mounts' }, owner);
  }
  if (wish.workingDir !== '') await makeDirectories(place, wish.workingDir);
}
