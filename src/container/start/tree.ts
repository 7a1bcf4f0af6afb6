import * as messages from '#api/messages.ts';
import { EngineError } from '#base/errors.ts';
import type { RootTreePort } from '../ports.ts';

const ROOT = { uid: 0, gid: 0 };

async function makeDirectories(tree: RootTreePort, rootFd: number, path: string): Promise<void> {
  let current = '';
  for (const part of path.split('/').filter((word) => word !== '')) {
    current += `/${part}`;
    const kind = await tree.kindOf(rootFd, current);
    if (kind === 'other')
      throw new EngineError('invalidArgument', messages.workingDirectoryNotDirectory(current));
    if (kind === 'missing') await tree.makeDirectory(rootFd, current, ROOT);
  }
}

/** What the reference puts into every container's tree, and the working directory. */
export async function prepareTree(
  tree: RootTreePort,
  rootFd: number,
  wish: { workingDir: string; isFirst: boolean },
): Promise<void> {
  if (wish.isFirst) {
    await makeDirectories(tree, rootFd, '/etc');
    await tree.ensureFile(rootFd, '/.dockerenv');
    await tree.ensureSymlink(rootFd, '/etc/mtab', '/proc/mounts');
  }
  if (wish.workingDir !== '') await makeDirectories(tree, rootFd, wish.workingDir);
}
