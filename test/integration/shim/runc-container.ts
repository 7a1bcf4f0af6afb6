/** A container of busybox by the real runc, below the real shim; all of it ends with the test. */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { TestContext } from 'node:test';
import { createKernel } from '#host/real.ts';
import { FIELD, type FieldInput, FRAME, type Frame } from './shim-connection.ts';
import { type Shim, startShim, until } from './shim-harness.ts';

const RUNC = '/usr/sbin/runc';
const APPLETS = ['sh', 'cat', 'echo', 'sleep', 'dd', 'stty', 'tail', 'grep', 'ls', 'readlink', 'true', 'tty'];
const ENVIRONMENT = ['PATH=/bin'];
const kernel = createKernel();

/** Why these tests cannot run here, or false. */
export function cannotRun(): string | false {
  if (process.getuid?.() !== 0) return 'needs root';
  return existsSync(RUNC) && existsSync('/bin/busybox') ? false : 'needs runc and busybox';
}

export interface ContainerOptions {
  readonly args: readonly string[];
  readonly terminal?: boolean;
  readonly consoleSize?: { readonly width: number; readonly height: number };
  readonly memoryBytes?: number;
  /** Gets a network namespace of its own, made by the test. */
  readonly hasNetwork?: boolean;
  readonly flags?: number;
}

export interface RuncContainer {
  readonly shim: Shim;
  /** Path of its cgroup below each hierarchy. */
  readonly cgroup: string;
  start(more?: readonly FieldInput[]): Promise<Frame>;
  exec(id: string, args: readonly string[], options?: { terminal?: boolean; flags?: number }): Promise<Frame>;
}

function makeRootfs(path: string): void {
  for (const name of ['bin', 'proc', 'dev', 'sys', 'tmp']) mkdirSync(join(path, name), { recursive: true });
  copyFileSync('/bin/busybox', join(path, 'bin/busybox'));
  for (const applet of APPLETS) symlinkSync('busybox', join(path, 'bin', applet));
}

function spec(options: ContainerOptions, cgroup: string, networkPath: string | undefined): object {
  const namespaces = ['pid', 'ipc', 'uts', 'mount'].map((type) => ({ type }));
  const network = networkPath ? { type: 'network', path: networkPath } : { type: 'network' };
  const { memoryBytes } = options;
  return {
    ociVersion: '1.0.2',
    process: {
      terminal: options.terminal ?? false,
      consoleSize: options.consoleSize,
      user: { uid: 0, gid: 0 },
      args: options.args,
      env: ENVIRONMENT,
      cwd: '/',
    },
    root: { path: 'rootfs' },
    hostname: 'shim-test',
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755'] },
      {
        destination: '/dev/pts',
        type: 'devpts',
        source: 'devpts',
        options: ['newinstance', 'ptmxmode=0666', 'mode=0620'],
      },
      { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['ro', 'nosuid'] },
      { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: ['ro', 'nosuid'] },
    ],
    linux: {
      namespaces: [...namespaces, network],
      cgroupsPath: cgroup,
      resources: memoryBytes ? { memory: { limit: memoryBytes, swap: memoryBytes } } : {},
    },
  };
}

function runcCall(log: string, args: readonly string[]): FieldInput[] {
  return [RUNC, '--root', 'runc', '--log', log, '--log-format', 'json', ...args].map((word) => [
    FIELD.argv,
    word,
  ]);
}

/** Removes what runc leaves on purpose: the daemon's work in real life. */
async function remove(directory: string, cgroup: string): Promise<void> {
  for (const pid of kernel.cgroups.processes(cgroup)) process.kill(pid, 'SIGKILL');
  await until(() => kernel.cgroups.processes(cgroup).length === 0);
  await kernel.cgroups.remove(cgroup);
  rmSync(directory, { recursive: true, force: true });
}

export async function runcContainer(t: TestContext, options: ContainerOptions): Promise<RuncContainer> {
  const directory = mkdtempSync(join(tmpdir(), 'gantry-shim-runc-'));
  const cgroup = `/${basename(directory)}`;
  const image = join(directory, 'image');
  makeRootfs(image);
  mkdirSync(join(directory, 'rootfs'));
  const rootfs = await kernel.mounts.cloneTree(image);
  const network = options.hasNetwork ? await kernel.namespaces.createNetwork() : undefined;
  const shim = await startShim(t, { directory, rootfs }).finally(() => closeSync(rootfs));
  t.after(() => network === undefined || closeSync(network));
  t.after(() => remove(directory, cgroup));
  const networkPath = network === undefined ? undefined : `/proc/${shim.pid}/fd/5`;
  writeFileSync(join(directory, 'config.json'), JSON.stringify(spec(options, cgroup, networkPath)));
  const consoleOf = (name: string, terminal = false): string[] =>
    terminal ? ['--console-socket', name] : [];
  return {
    shim,
    cgroup,
    start: (more = []) =>
      shim.control.request(FRAME.start, [
        ...runcCall('runtime.log', [
          ...['run', '-d', '--bundle', '.', '--pid-file', 'init.pid'],
          ...consoleOf('console.sock', options.terminal),
          'shim-test',
        ]),
        [FIELD.pidFile, 'init.pid'],
        [FIELD.runtimeLog, 'runtime.log'],
        [FIELD.logPath, join(directory, 'c-json.log')],
        [FIELD.flags, options.flags ?? 0],
        ...(options.terminal ? [[FIELD.consoleSocket, 'console.sock'] as const] : []),
        ...(network === undefined ? [] : [[FIELD.netnsPath, `/proc/${process.pid}/fd/${network}`] as const]),
        ...more,
      ]),
    exec: (id, args, { terminal = false, flags = 1 } = {}) => {
      const process = { terminal, user: { uid: 0, gid: 0 }, args, env: ENVIRONMENT, cwd: '/' };
      writeFileSync(join(directory, `${id}.json`), JSON.stringify(process));
      return shim.control.request(FRAME.exec, [
        ...runcCall(`${id}.log`, [
          ...['exec', '-d', '--process', `${id}.json`, '--pid-file', `${id}.pid`],
          ...consoleOf(`${id}.sock`, terminal),
          'shim-test',
        ]),
        [FIELD.execId, id],
        [FIELD.pidFile, `${id}.pid`],
        [FIELD.runtimeLog, `${id}.log`],
        [FIELD.flags, flags],
        ...(terminal ? [[FIELD.consoleSocket, `${id}.sock`] as const] : []),
      ]);
    },
  };
}

/** Directory of the container's cgroup in the v1 memory hierarchy, undefined where there is none. */
export function memoryDirectory(cgroup: string): string | undefined {
  return existsSync('/sys/fs/cgroup/memory') ? `/sys/fs/cgroup/memory${cgroup}` : undefined;
}

/** The mount table of a process. */
export function mountsOf(pid: number | 'self'): string {
  return execFileSync('cat', [`/proc/${pid}/mountinfo`], { encoding: 'utf8' });
}
