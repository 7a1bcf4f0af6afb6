/**
 * A container without any engine, started by each launcher in turn: ours with a plan that was compiled
 * before, runc, crun, and our OCI command line. All of them get the same recorded spec of `docker run`.
 */
import { randomUUID } from 'node:crypto';
import { closeSync, openSync, readdirSync, readFileSync, rmdirSync, unlinkSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Kernel } from '#host/kernel.ts';
import { createKernel } from '#host/real.ts';
import { deviceLimits } from '#runtime/device-rules.ts';
import { buildLaunchPlan, encodeLaunchPlan } from '#runtime/launch-plan.ts';
import type { ContainerSpec } from '#runtime/spec.ts';
import { compileSeccomp } from '../../src/runtime/seccomp/compile.ts';
import { must } from '../support/command.ts';

export type LauncherSamples = Readonly<Record<string, readonly number[]>>;

const ROOT = join(import.meta.dirname, '../..');
const SHIM = join(ROOT, 'dist/native/gantry-shim');
const GOLDENS = join(ROOT, 'test/reference/oci-config-goldens.json');
const ROUNDS = 25;
/** Between two runs, as a machine at work has it: back to back the kernel saves a wait that others pay. */
const PAUSE_MS = 30;
const PLACES = ['/usr/bin', '/usr/sbin', '/usr/local/bin', '/usr/local/sbin'];

/** The spec of a plain `docker run … true`, with paths of this machine. */
async function makeBundle(directory: string, name: string): Promise<ContainerSpec> {
  const recorded = JSON.parse(readFileSync(GOLDENS, 'utf8')) as { default: { config: ContainerSpec } };
  const { config } = recorded.default;
  const rootfs = join(directory, 'rootfs');
  await mkdir(join(rootfs, 'bin'), { recursive: true });
  for (const folder of ['proc', 'dev', 'sys', 'etc']) await mkdir(join(rootfs, folder));
  await must('cp', ['/usr/bin/busybox', join(rootfs, 'bin/busybox')]);
  await must('chroot', [rootfs, '/bin/busybox', '--install', '-s', '/bin']);
  const file = join(directory, 'file');
  await writeFile(file, '');
  await writeFile(join(rootfs, 'etc/resolv.conf'), '');
  await writeFile(join(rootfs, 'etc/hostname'), '');
  await writeFile(join(rootfs, 'etc/hosts'), '');
  const spec: ContainerSpec = {
    ...config,
    // crun before 1.9 refuses later versions.
    ociVersion: '1.0.2',
    process: { ...config.process, args: ['true'], env: ['PATH=/bin'] },
    root: { path: rootfs },
    hostname: 'bench',
    mounts: config.mounts.map((mount) => (mount.type === 'bind' ? { ...mount, source: file } : mount)),
    linux: { ...config.linux, cgroupsPath: `/${name}` },
  };
  await writeFile(join(directory, 'config.json'), JSON.stringify(spec));
  return spec;
}

function compile(kernel: Kernel, spec: ContainerSpec, directory: string): Uint8Array {
  const { apparmor, selinux } = kernel.system.facts();
  const seccomp = spec.linux.seccomp;
  return encodeLaunchPlan(
    buildLaunchPlan(spec, {
      id: 'bench',
      cgroups: kernel.cgroups.layout(),
      apparmor,
      selinux,
      root: { path: join(directory, 'rootfs') },
      bundle: directory,
      devices: deviceLimits(kernel.cgroups.version, spec.linux.resources?.devices ?? []),
      ...(seccomp !== undefined && {
        seccomp: compileSeccomp(seccomp, process.arch === 'arm64' ? 'aarch64' : 'x86_64'),
      }),
      oomScoreAdj: 0,
    }),
  );
}

interface Launcher {
  readonly name: string;
  readonly path: string;
  readonly argv: (run: number) => readonly string[];
  /** What the launcher leaves to its caller. */
  readonly clean?: () => void;
}

function find(program: string): string | null {
  for (const place of PLACES) if (readdirSync(place).includes(program)) return join(place, program);
  return null;
}

function launchersOf(kernel: Kernel, directory: string, name: string): Launcher[] {
  const hierarchies = kernel.cgroups.layout().hierarchies;
  const own: Launcher = {
    name: 'gantry-shim launch, compiled plan',
    path: SHIM,
    argv: () => ['gantry-shim', 'launch', '3', 'wait'],
    clean: () => {
      for (const { mountPoint } of hierarchies) rmdirSync(join(mountPoint, name));
    },
  };
  const oci = (path: string, state: string): Launcher => ({
    name: `${path.slice(path.lastIndexOf('/') + 1)} run`,
    path,
    argv: (run) => [path, '--root', join(directory, state), 'run', '-b', directory, `bench-${run}`],
  });
  const others = ['runc', 'crun'].map(find).filter((path) => path !== null);
  return [
    own,
    ...others.map((path, i) => oci(path, `state${i}`)),
    oci(join(ROOT, 'bin/gantry-oci'), 'state9'),
  ];
}

/**
 * Milliseconds by launcher. On a host with v1 and v2 of cgroups side by side it has to run where the unified
 * hierarchy is not mounted: crun refuses such a host.
 */
export async function measureLaunchers(): Promise<LauncherSamples> {
  const name = `gantry-bench-${randomUUID().slice(0, 8)}`;
  const directory = `/tmp/${name}`;
  await mkdir(directory);
  const kernel = createKernel();
  const samples: Record<string, number[]> = {};
  // A child's end is a signal, which alone keeps no process alive.
  const alive = setInterval(() => undefined, 1 << 30);
  try {
    const spec = await makeBundle(directory, name);
    const planFile = join(directory, 'plan');
    await writeFile(planFile, compile(kernel, spec, directory));
    const once = async ({ path, argv, clean }: Launcher, run: number): Promise<number> => {
      const plan = openSync(planFile, 'r');
      const complaints = openSync(join(directory, 'complaints'), 'w+');
      const begin = performance.now();
      const child = await kernel.processes.spawn({
        path,
        argv: argv(run),
        env: { PATH: process.env['PATH'] ?? '' },
        cwd: directory,
        fds: new Map([
          [2, complaints],
          [3, plan],
        ]),
      });
      const status = await child.exited;
      clean?.();
      const took = performance.now() - begin;
      closeSync(plan);
      closeSync(complaints);
      if (!('exitCode' in status) || status.exitCode !== 0)
        throw new Error(`${path}: ${readFileSync(join(directory, 'complaints'), 'utf8')}`);
      return took;
    };
    const launchers = launchersOf(kernel, directory, name);
    for (let round = -2; round < ROUNDS; round++) {
      for (const [i, launcher] of launchers.entries()) {
        await sleep(PAUSE_MS);
        const took = await once(launcher, (round + 2) * launchers.length + i);
        if (round >= 0) (samples[launcher.name] ??= []).push(took);
      }
    }
    unlinkSync(planFile);
  } finally {
    clearInterval(alive);
    await rm(directory, { recursive: true });
  }
  return samples;
}
