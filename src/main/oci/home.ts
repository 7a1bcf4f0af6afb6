import { closeSync } from 'node:fs';
import { resolve } from 'node:path';
import { LIMITS } from '#base/limits.ts';
import type { ProgramKernel } from '#host/program.ts';
import type { RuntimeSpec, SpecProcess } from '#oci/runtime-spec.ts';
import { resolveUser } from '#runtime/user.ts';

const PASSWD = '/etc/passwd';

/** Where the container's list of users comes from: a folder of the host, and the path below it. */
interface Origin {
  readonly root: string;
  readonly path: string;
}

/** The last mount that covers the file counts. */
export function originOf(spec: RuntimeSpec, rootfs: string, bundle: string): Origin | null {
  const covers = (destination: string): boolean =>
    PASSWD === destination || PASSWD.startsWith(`${destination}/`);
  const mount = spec.mounts?.findLast(({ destination }) => covers(destination));
  if (mount === undefined) return { root: rootfs, path: PASSWD };
  const options = mount.options ?? [];
  if (mount.type === 'tmpfs' && options.includes('tmpcopyup')) return { root: rootfs, path: PASSWD };
  const isBind = mount.type === 'bind' || options.some((option) => option === 'bind' || option === 'rbind');
  if (!isBind || mount.source === undefined) return null;
  const root = resolve(bundle, mount.source);
  return { root, path: PASSWD.slice(mount.destination.length) };
}

function needsHome({ env = [] }: SpecProcess): boolean {
  return (env.findLast((entry) => entry.startsWith('HOME=')) ?? 'HOME=') === 'HOME=';
}

/** The user's home directory, when the environment has none; a damaged list is the same as none. */
export function homeOf(
  kernel: ProgramKernel,
  process: SpecProcess | undefined,
  { root, path }: Origin,
): string | undefined {
  if (process === undefined || !needsHome(process)) return undefined;
  let directory: number | undefined;
  try {
    directory = kernel.files.openRoot(path === '' ? resolve(root, '..') : root);
    const name = path === '' ? root.slice(root.lastIndexOf('/') + 1) : path;
    const passwd = kernel.files.readFile(directory, name, LIMITS.passwdBytes).toString();
    return resolveUser({ user: String(process.user.uid), groupAdd: [], passwd, group: null }).home;
  } catch {
    return undefined;
  } finally {
    if (directory !== undefined) closeSync(directory);
  }
}

export const homeInside = (kernel: ProgramKernel, process: SpecProcess, pid: number): string | undefined =>
  homeOf(kernel, process, { root: `/proc/${pid}/root`, path: PASSWD });
