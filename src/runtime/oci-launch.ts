/**
 * A bundle's config.json as a message to the launcher, for the OCI command line. The daemon does the same
 * with specs of its own making, and keeps compiled filters.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { EngineError } from '#base/errors.ts';
import type { CgroupLayout } from '#host/kernel.ts';
import type { RuntimeSpec, SpecProcess, SpecSeccomp } from '#oci/runtime-spec.ts';
import { deviceLimits } from './device-rules.ts';
import {
  buildExecPlan,
  buildLaunchPlan,
  type CompiledSeccomp,
  encodeLaunchPlan,
  type LaunchPlan,
} from './launch-plan.ts';
import type { SeccompArch } from './seccomp/compile.ts';
import { FilterFiles } from './seccomp/filter-files.ts';

const ARCHITECTURES: Readonly<Record<string, SeccompArch>> = { x64: 'x86_64', arm64: 'aarch64' };
const FIRST_DESCRIPTOR = 3;

export interface EncodedPlan {
  readonly bytes: Uint8Array;
  /** What the failures are about. */
  readonly plan: LaunchPlan;
}

export interface ContainerLaunch {
  readonly id: string;
  readonly bundle: string;
  readonly rootfs: string;
  readonly layout: CgroupLayout;
  readonly startFifo: string;
  /** MS_MOVE instead of pivot_root, after these mounts of the host have been taken away. */
  readonly noPivot: { readonly hide: readonly string[] } | undefined;
  readonly noKeyring: boolean;
  /** Descriptors after the standard streams that the program gets. */
  readonly preserved: number;
  /** Directory of our own, where compiled filters are kept. */
  readonly filters: string;
  /** The user's, for an environment without HOME. */
  readonly home: string | undefined;
}

export interface ExecLaunch
  extends Pick<ContainerLaunch, 'id' | 'layout' | 'preserved' | 'noKeyring' | 'home' | 'filters'> {
  /** Where the process is born in the v2 hierarchy, when not in the container's cgroup. */
  readonly initCgroup?: string;
}

function compiled(seccomp: SpecSeccomp | undefined, filters: string): { readonly seccomp?: CompiledSeccomp } {
  if (seccomp === undefined) return {};
  const arch = ARCHITECTURES[process.arch];
  if (arch === undefined) throw new EngineError('invalidArgument', `linux.seccomp: not on ${process.arch}`);
  // Another build of this program is another compiler.
  const generation = String(statSync(process.argv[1] ?? '', { throwIfNoEntry: false })?.mtimeMs);
  return { seccomp: new FilterFiles(filters, generation).program(seccomp, arch) };
}

/** Facts of this host. Few and cheap: the command line asks for them at each start. */
function hostFacts() {
  const last = Number(readOr('/proc/sys/kernel/cap_last_cap', '40'));
  return {
    apparmor: readOr('/sys/module/apparmor/parameters/enabled', 'N').trim() === 'Y',
    selinux: existsSync('/sys/fs/selinux/enforce'),
    capabilities: 2n ** BigInt(last + 1) - 1n,
    oomScoreAdj: Number(readOr('/proc/self/oom_score_adj', '0')),
  };
}

function readOr(path: string, fallback: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return fallback;
  }
}

/** In a user namespace of somebody else nobody makes device nodes. */
function isInUserNamespace(): boolean {
  const [inside, outside, size] = readOr('/proc/self/uid_map', '0 0 4294967295')
    .trim()
    .split(/\s+/)
    .map(Number);
  return inside !== 0 || outside !== 0 || size !== 4_294_967_295;
}

function encoded(plan: LaunchPlan, preserved: number): EncodedPlan {
  const child = plan.child.map((operation) =>
    operation.op === 'closeFrom' ? { ...operation, first: FIRST_DESCRIPTOR + preserved } : operation,
  );
  const whole = { ...plan, child };
  return { bytes: encodeLaunchPlan(whole), plan: whole };
}

/** Errors: `invalidArgument`, beginning with the JSON path. */
export function containerPlan(spec: RuntimeSpec, launch: ContainerLaunch): EncodedPlan {
  const plan = buildLaunchPlan(spec, {
    ...hostFacts(),
    ...compiled(spec.linux?.seccomp, launch.filters),
    id: launch.id,
    cgroups: launch.layout,
    bundle: launch.bundle,
    root: { path: launch.rootfs },
    startFifo: launch.startFifo,
    ...(launch.noPivot !== undefined && { noPivot: launch.noPivot }),
    noKeyring: launch.noKeyring,
    ...(launch.home !== undefined && { home: launch.home }),
    inUserNamespace: isInUserNamespace(),
    kcore: existsSync('/proc/kcore'),
    devices: deviceLimits(launch.layout.version, spec.linux?.resources?.devices ?? []),
  });
  return encoded(plan, launch.preserved);
}

/** A further process in the container of a spec. Errors: `invalidArgument`, beginning with the JSON path. */
export function execPlan(spec: RuntimeSpec, process: SpecProcess, launch: ExecLaunch): EncodedPlan {
  const { linux = {} } = spec;
  const target = {
    namespaces: (linux.namespaces ?? []).map(({ type }) => type),
    cgroupsPath: linux.cgroupsPath ?? `/${launch.id}`,
    ...(linux.personality !== undefined && { personality: linux.personality }),
  };
  const plan = buildExecPlan(process, target, {
    ...hostFacts(),
    ...compiled(linux.seccomp, launch.filters),
    id: launch.id,
    cgroups: launch.layout,
    noKeyring: launch.noKeyring,
    ...(launch.home !== undefined && { home: launch.home }),
    ...(launch.initCgroup !== undefined && { initCgroup: launch.initCgroup }),
  });
  return encoded(plan, launch.preserved);
}
