import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { LIMITS } from '#base/limits.ts';
import type { Kernel } from '#host/kernel.ts';
import type { SpecSeccomp } from '#oci/runtime-spec.ts';
import { deviceLimits } from '../device-rules.ts';
import { buildLaunchPlan, cgroupsAbove, encodeLaunchPlan, type LaunchPlan } from '../launch-plan.ts';
import { SeccompCache } from '../seccomp/cache.ts';
import type { SeccompProgram } from '../seccomp/compile.ts';
import type { ContainerSpec } from '../spec.ts';
import type { ExpectedStart, StartRequest } from '../task.ts';
import { type Bindings, type BindRequest, bindSpec } from './bind-spec.ts';

export interface StartPlan {
  /** A failure names its operation by number. */
  readonly plan: LaunchPlan;
  /** The plan, encoded. */
  readonly bytes: Buffer;
  /** Absent: none. */
  readonly filter?: SeccompProgram;
}

/** What a plan depends on, besides the host. */
interface Wish extends BindRequest, Pick<StartRequest, 'id' | 'home' | 'cgroupPath'> {
  /** The task's. */
  readonly directory: string;
  readonly netnsGiven: boolean;
  readonly networkLater: boolean;
}

type HostKernel = Pick<Kernel, 'cgroups' | 'system'>;

/**
 * Makes the plans of starts; those that are expected, ahead: a plan takes about a millisecond. One that was
 * made ahead is good for the very same spec object only, and as long as the rest of the request and the
 * cgroups are as they were expected.
 */
export class StartPlans {
  readonly #kernel: HostKernel;
  readonly #seccomp = new SeccompCache(LIMITS.seccompPrograms);
  readonly #ahead = new WeakMap<ContainerSpec, { readonly key: string; readonly made: StartPlan }>();

  constructor(kernel: HostKernel) {
    this.#kernel = kernel;
  }

  /** Errors: `invalidArgument` of a spec that is refused. */
  expect(start: ExpectedStart, directory: string): void {
    const wish = { ...start, directory, netnsGiven: start.ownNetwork, networkLater: start.ownNetwork };
    const enabled = this.#enabledControllers(start.cgroupPath);
    const made = this.#make(wish, { enabled, open: joinsNobody });
    this.#ahead.set(start.spec, { key: keyOf(wish, enabled), made });
  }

  /** Errors: as those of `expect`. */
  of({ request, directory, open }: Pick<Wish, 'directory'> & Opening & { request: StartRequest }): StartPlan {
    const wish = {
      ...request,
      directory,
      netnsGiven: request.netns !== undefined,
      networkLater: request.connectNetwork !== undefined,
    };
    const enabled = this.#enabledControllers(request.cgroupPath);
    const ahead = this.#ahead.get(request.spec);
    if (ahead?.key === keyOf(wish, enabled)) return ahead.made;
    return this.#make(wish, { enabled, open });
  }

  #make(wish: Wish, found: Opening & { readonly enabled: Controllers }): StartPlan {
    const { cgroups } = this.#kernel;
    const { spec, shmOf } = bindSpec(wish, { open: found.open });
    const filter = this.#filter(spec.linux.seccomp);
    const { id, directory } = wish;
    const plan = buildLaunchPlan(spec, {
      id,
      ...hostContext(this.#kernel),
      root: { slot: true, at: join(directory, 'rootfs') },
      netnsGiven: wish.netnsGiven,
      networkLater: wish.networkLater,
      bundle: directory,
      devices: deviceLimits(cgroups.version, spec.linux.resources?.devices ?? []),
      enabledControllers: found.enabled,
      kcore: existsSync('/proc/kcore'),
      ...(filter === undefined ? {} : { seccomp: filter }),
      ...(wish.home === undefined ? {} : { home: wish.home }),
      ...(shmOf === undefined ? {} : { shmOf }),
    });
    return { plan, bytes: encodeLaunchPlan(plan), ...(filter === undefined ? {} : { filter }) };
  }

  #enabledControllers(cgroupPath: string): Controllers {
    const { cgroups } = this.#kernel;
    const above = cgroups.version === 'v2' ? cgroupsAbove(cgroupPath) : [];
    const enabled = (path: string): string => cgroups.read(path, '', 'cgroup.subtree_control') ?? '';
    return Object.fromEntries(above.map((path) => [path, enabled(path).trim().split(' ')]));
  }

  #filter(seccomp: SpecSeccomp | undefined): SeccompProgram | undefined {
    if (seccomp === undefined) return undefined;
    const { machine } = this.#kernel.system.facts();
    return this.#seccomp.program(seccomp, machine === 'aarch64' ? 'aarch64' : 'x86_64');
  }
}

type Opening = Pick<Bindings, 'open'>;
type Controllers = Readonly<Record<string, readonly string[]>>;

/** What every plan depends on, of containers and of execs. */
export function hostContext({ cgroups, system }: HostKernel) {
  const { apparmor, selinux } = system.facts();
  return { cgroups: cgroups.layout(), apparmor, selinux, oomScoreAdj: 0 };
}

function keyOf(wish: Wish, enabled: Controllers): string {
  const { id, directory, home, cgroupPath, terminal, consoleSize, netnsGiven, networkLater, usernsFd } = wish;
  return JSON.stringify([
    [id, directory, home, cgroupPath, terminal, consoleSize, netnsGiven, networkLater, usernsFd],
    enabled,
  ]);
}

function joinsNobody(): never {
  throw new Error('a start that joins another one cannot be planned ahead');
}
