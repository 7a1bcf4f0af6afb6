import { join } from 'node:path';
import type { Log } from '#base/log.ts';
import type { Kernel } from '#host/kernel.ts';
import type { ShimSource } from '../shim/spare.ts';
import type { MountTargets } from '../mount-targets.ts';
import type { Runtimes } from '../runtimes.ts';
import type { TaskHandlers } from '../task.ts';
import type { StartPlans } from './start-plans.ts';

/** What every part of the task service works with. */
export interface TaskContext {
  readonly kernel: Pick<Kernel, 'processes' | 'sockets' | 'cgroups' | 'files' | 'mounts' | 'system'>;
  readonly runtimes: Runtimes;
  readonly plans: StartPlans;
  readonly targets: MountTargets;
  /** On a tmpfs. Tasks live in `tasks/<id>`, the OCI runtimes' own state in `runtimes/<name>`. */
  readonly execRoot: string;
  readonly shims: ShimSource;
  /** Cgroup of all shims, outside of the daemon's own: `/gantry-<6 hex>/shims`. */
  readonly shimCgroup: string;
  readonly handlers: TaskHandlers;
  readonly log: Log;
  /** Default: `LIMITS.taskStartMs`. The bounds of a start's parts are never longer. */
  readonly startLimitMs?: number;
}

export function tasksRoot(context: Pick<TaskContext, 'execRoot'>): string {
  return join(context.execRoot, 'tasks');
}

/** A link to the root of a running container: what inspect shows as the merged directory leads here. */
export function runningRoot(execRoot: string, id: string): string {
  return join(taskDirectory({ execRoot }, id), 'merged');
}

export function taskDirectory(context: Pick<TaskContext, 'execRoot'>, id: string): string {
  return join(tasksRoot(context), id);
}
