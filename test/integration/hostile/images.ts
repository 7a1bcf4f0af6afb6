/** Images and volumes that lead a runtime astray, and what is asked for with them. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RuntimeSpec, SpecMount } from '#oci/runtime-spec.ts';
import { PLAIN_SECURITY } from '../../support/spec-input.ts';
import { type Place, specOf } from '../differential/bundle.ts';
import type { Canary } from './canary.ts';

export interface Hostile {
  readonly name: string;
  /** Makes the image hostile, and what the client asked for. */
  readonly prepare: (at: Place, outside: Canary) => Partial<RuntimeSpec>;
  /** What such an image comes to: it runs, its links being followed inside of the root, or is refused. */
  readonly starts: boolean | 'privileged';
  /** Run at a terminal. */
  readonly terminal?: boolean;
}

function replace(at: Place, name: string, target: string): void {
  rmSync(join(at.rootfs, name), { recursive: true, force: true });
  symlinkSync(target, join(at.rootfs, name));
}

export function folder(at: Place, name: string): string {
  const path = join(at.folder, name);
  mkdirSync(path, { recursive: true });
  return path;
}

export const bind = (source: string, destination: string): SpecMount => ({
  destination,
  source,
  type: 'bind',
  options: ['rbind'],
});

/** `/dev` is the client's own folder, as `-v folder:/dev` makes it, instead of a fresh tmpfs. */
const ownDev = (spec: RuntimeSpec, source: string): SpecMount[] => [
  ...(spec.mounts ?? []).filter(({ destination }) => !destination.startsWith('/dev')),
  bind(source, '/dev'),
];

/** The same, with all that is mounted below it. */
const withDev = (spec: RuntimeSpec, source: string): SpecMount[] => {
  const [own] = ownDev(spec, source).slice(-1);
  return (spec.mounts ?? []).map((mount) => (mount.destination === '/dev' && own ? own : mount));
};

const linked = (name: string): Hostile => ({
  // A fresh file system is never mounted over a link, but for /dev.
  starts: name === 'dev',
  name: `/${name} is a link to the host`,
  prepare: (at, outside) => {
    replace(at, name, outside.path);
    return {};
  },
});

const climbing = (name: string): Hostile => ({
  starts: name === 'dev',
  name: `/${name} is a link that climbs`,
  prepare: (at, outside) => {
    replace(at, name, `../../../../../../../..${outside.path}`);
    return {};
  },
});

export const CASES: readonly Hostile[] = [
  ...['dev', 'proc', 'sys'].flatMap((name) => [linked(name), climbing(name)]),
  {
    name: '/dev is a magic link',
    starts: false,
    prepare: (at) => {
      replace(at, 'dev', '/proc/self/cwd');
      return {};
    },
  },
  {
    name: 'a mount target leads out',
    starts: true,
    prepare: (at, outside) => {
      symlinkSync(outside.path, join(at.rootfs, 'data'));
      return { mounts: [bind(folder(at, 'volume'), '/data/inside')] };
    },
  },
  {
    name: 'a mount target is a link in an earlier volume',
    starts: true,
    prepare: (at, outside) => {
      const volume = folder(at, 'volume');
      symlinkSync(outside.path, join(volume, 'inner'));
      return { mounts: [bind(volume, '/data'), bind(folder(at, 'other'), '/data/inner')] };
    },
  },
  {
    name: 'a mount target climbs by its own name',
    starts: false,
    prepare: (at, outside) => ({ mounts: [bind(folder(at, 'volume'), `/../../../..${outside.path}/empty`)] }),
  },
  {
    name: 'links in a circle',
    starts: false,
    prepare: (at) => {
      symlinkSync('/b', join(at.rootfs, 'a'));
      symlinkSync('/a', join(at.rootfs, 'b'));
      return { mounts: [bind(folder(at, 'volume'), '/a/x')] };
    },
  },
  {
    name: 'null of the container is a link to the host',
    starts: 'privileged',
    prepare: (at, outside) => {
      const dev = folder(at, 'own-dev');
      symlinkSync(join(outside.path, 'null'), join(dev, 'null'));
      return { mounts: ownDev(specOf(at), dev) };
    },
  },
  {
    name: 'null of the container is a file',
    starts: 'privileged',
    prepare: (at) => {
      const dev = folder(at, 'own-dev');
      writeFileSync(join(dev, 'null'), 'not null\n');
      return { mounts: ownDev(specOf(at), dev) };
    },
  },
  {
    name: 'pseudo-terminals lie in a plain directory',
    starts: 'privileged',
    prepare: (at) => {
      const dev = folder(at, 'own-dev');
      mkdirSync(join(dev, 'pts'));
      writeFileSync(join(dev, 'pts/ptmx'), '');
      return { mounts: ownDev(specOf(at), dev) };
    },
  },
  {
    name: 'proc is a tmpfs with files of the same names',
    starts: false,
    prepare: (at, outside) => {
      const spec = specOf(at);
      const mounts = (spec.mounts ?? []).map((mount) =>
        mount.destination === '/proc' ? bind(outside.path, '/proc') : mount,
      );
      return {
        mounts,
        linux: { ...spec.linux, sysctl: { 'net.ipv4.ip_forward': '1' }, maskedPaths: [], readonlyPaths: [] },
      };
    },
  },
  {
    name: 'masked and read-only paths are links',
    starts: true,
    prepare: (at, outside) => {
      symlinkSync(join(outside.path, 'file'), join(at.rootfs, 'secret'));
      symlinkSync(join(outside.path, 'empty'), join(at.rootfs, 'closed'));
      const { linux } = specOf(at);
      return {
        linux: { ...linux, maskedPaths: ['/secret', '/closed'], readonlyPaths: ['/closed', '/secret'] },
      };
    },
  },
  {
    name: 'a device is to be made behind a link',
    starts: true,
    prepare: (at, outside) => {
      symlinkSync(outside.path, join(at.rootfs, 'nodes'));
      const { linux } = specOf(at);
      return { linux: { ...linux, devices: [{ path: '/nodes/x', type: 'c', major: 1, minor: 3 }] } };
    },
  },
  {
    name: 'the console of the container is a link to the host',
    starts: true,
    terminal: true,
    prepare: (at, outside) => {
      const dev = folder(at, 'own-dev');
      mkdirSync(join(dev, 'pts'));
      symlinkSync(join(outside.path, 'file'), join(dev, 'console'));
      execFileSync('mknod', ['-m', '666', join(dev, 'null'), 'c', '1', '3']);
      return { mounts: withDev(specOf(at), dev) };
    },
  },
  {
    name: 'the directory of pseudo-terminals is a link to the host',
    starts: false,
    terminal: true,
    prepare: (at, outside) => {
      const dev = folder(at, 'own-dev');
      symlinkSync(join(outside.path, 'pts'), join(dev, 'pts'));
      return { mounts: withDev(specOf(at), dev) };
    },
  },
  {
    name: 'pseudo-terminals are files of the client',
    starts: false,
    terminal: true,
    prepare: (at) => {
      const dev = folder(at, 'own-dev');
      mkdirSync(join(dev, 'pts'));
      writeFileSync(join(dev, 'pts/ptmx'), '');
      writeFileSync(join(dev, 'pts/0'), '');
      return { mounts: ownDev(specOf(at), dev) };
    },
  },
  {
    name: 'the working directory leads out',
    starts: true,
    prepare: (at, outside) => {
      symlinkSync(outside.path, join(at.rootfs, 'leads'));
      const { process } = specOf(at);
      return process === undefined ? {} : { process: { ...process, cwd: '/leads/made' } };
    },
  },
];

/** The spec of a case, with the image made ready for it. */
export function specFor(
  { prepare, terminal = false }: Hostile,
  { at, outside, privileged }: { readonly at: Place; readonly outside: Canary; readonly privileged: boolean },
): RuntimeSpec {
  const args = ['/bin/sh', '-c', 'echo started'];
  const base = specOf(at, { args, security: { ...PLAIN_SECURITY, privileged } });
  const change = prepare(at, outside);
  const process = base.process && { ...base.process, terminal, cwd: change.process?.cwd ?? base.process.cwd };
  const isAdded = change.mounts !== undefined && change.mounts.length < 3;
  const mounts = isAdded
    ? [...(base.mounts ?? []), ...(change.mounts ?? [])]
    : (change.mounts ?? base.mounts);
  return {
    ...base,
    ...(process && { process }),
    ...(mounts && { mounts }),
    linux: { ...base.linux, ...change.linux },
  };
}
