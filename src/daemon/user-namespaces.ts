import { closeSync, existsSync, readFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError, errorMessage } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import type { UserNamespacePort } from '#container/ports.ts';
import type { Kernel } from '#host/kernel.ts';
import type { DaemonConfig } from './config.ts';
import {
  DEFAULT_USER,
  nextRange,
  resolveRemap,
  wantsDefaultUser,
  type AccountFiles,
  type Remap,
} from './config/userns-remap.ts';

export interface RemapParts {
  readonly config: Pick<DaemonConfig, 'usernsRemap' | 'dataRoot' | 'storageDriver'>;
  readonly kernel: Pick<Kernel, 'namespaces' | 'mounts' | 'files' | 'processes'>;
  readonly log: Log;
}

const PROBE = '.userns-probe';

function readFile(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

function accountFiles(): AccountFiles {
  return {
    passwd: readFile('/etc/passwd'),
    group: readFile('/etc/group'),
    subuid: readFile('/etc/subuid'),
    subgid: readFile('/etc/subgid'),
  };
}

/** A program of the distribution, which knows its own way of keeping accounts. */
async function runProgram(
  kernel: RemapParts['kernel'],
  name: string,
  args: readonly string[],
): Promise<void> {
  const path = ['/usr/sbin', '/sbin', '/usr/bin'].map((place) => join(place, name)).find(existsSync);
  if (path === undefined)
    throw new Error(`cannot add user; no ${name} binary found: make the user and its ranges by hand`);
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };
  const status = await (await kernel.processes.spawn({ path, argv: [name, ...args], env })).exited;
  if (!('exitCode' in status) || status.exitCode !== 0)
    throw new Error(`${name} ${args.join(' ')} failed: ${JSON.stringify(status)}`);
}

/** As the reference does it: a system user, and behind all others a range of 65,536 ids of each kind. */
async function makeDefaultUser({ kernel, log }: RemapParts): Promise<void> {
  try {
    await runProgram(kernel, 'useradd', ['-r', '-U', '-s', '/bin/false', DEFAULT_USER]);
    const { subuid, subgid } = accountFiles();
    const has = (text: string): boolean =>
      text.split('\n').some((line) => line.startsWith(`${DEFAULT_USER}:`));
    for (const [flag, text] of [
      ['-v', subuid],
      ['-w', subgid],
    ] as const) {
      const { first, last } = nextRange(text);
      if (!has(text)) await runProgram(kernel, 'usermod', [flag, `${first}-${last}`, DEFAULT_USER]);
    }
    log.info('made the user whose subordinate ids containers get', { user: DEFAULT_USER });
  } catch (error) {
    throw new EngineError(
      'unavailable',
      `Error during "${DEFAULT_USER}" user creation: ${errorMessage(error)}`,
      { cause: error },
    );
  }
}

/** What every start will do, once, with directories of its own: kernel and file system must know how. */
async function probe({ config, kernel }: RemapParts, remap: Remap): Promise<void> {
  const base = join(config.dataRoot, PROBE);
  const [lower, upper, work] = [join(base, 'lower'), join(base, 'own', 'diff'), join(base, 'own', 'work')];
  let userns: number | null = null;
  try {
    await rm(base, { recursive: true, force: true });
    for (const path of [lower, upper, work]) await mkdir(path, { recursive: true, mode: 0o700 });
    userns = await kernel.namespaces.createUser(remap.mappings);
    const shift = { userns, root: remap.root };
    const tree =
      config.storageDriver === 'vfs'
        ? await kernel.mounts.cloneTree(lower, { userns })
        : await kernel.mounts.overlay({ lower: [lower], upper, work, shift });
    await kernel.files.slow.close(tree);
  } catch (error) {
    throw new EngineError('unavailable', `userns-remap cannot be used on this host: ${errorMessage(error)}`, {
      cause: error,
      hint: `It takes Linux 5.19 or newer, user namespaces (user.max_user_namespaces), and a file system below ${config.dataRoot} that takes idmapped mounts, such as ext4, xfs or btrfs.`,
    });
  } finally {
    if (userns !== null) closeSync(userns);
    await rm(base, { recursive: true, force: true });
  }
}

/** Null: containers share the host's user namespace. Errors: the reference's texts, or advice. */
export async function openUserNamespaces(parts: RemapParts): Promise<UserNamespacePort | null> {
  const { config, kernel, log } = parts;
  const wish = config.usernsRemap;
  if (wish === null) return null;
  if (wantsDefaultUser(wish, accountFiles())) await makeDefaultUser(parts);
  const remap = resolveRemap(wish, accountFiles());
  if (remap === null) {
    log.warn('User namespaces: root cannot be remapped with itself; user namespaces are OFF');
    return null;
  }
  log.info(`User namespaces: ID ranges will be mapped to subuid/subgid ranges of: ${remap.user}`);
  await probe(parts, remap);
  return {
    mappings: remap.mappings,
    root: remap.root,
    create: () => kernel.namespaces.createUser(remap.mappings),
    close: (fd) => closeSync(fd),
  };
}
