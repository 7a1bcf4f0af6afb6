import { readFileSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { EngineError } from '#base/errors.ts';
import type { TaskContext } from './context.ts';

const SIGKILL = 9;
const POLL_MS = 5;
const LIMIT_MS = 5000;

/*
 * A shim that is killed while it starts something leaves the OCI runtime behind: in the shims' cgroup, until
 * the runtime has put its child into the container's. A cgroup for each shim would name these processes, too,
 * and cost every start ten directories on hosts with cgroup v1; they are in the task's directory, which costs
 * nothing. (The runtime changes its directory only once its child is in the container's cgroup.)
 */

type Context = Pick<TaskContext, 'kernel' | 'shimCgroup'>;

/** Ends the shim of a task directory and what it started that has not reached the container's cgroup. */
export async function killStragglers(context: Context, directory: string): Promise<void> {
  const { cgroups, processes } = context.kernel;
  const place = placeOf(directory);
  if (place === null || !cgroups.exists(context.shimCgroup)) return;
  const deadline = Date.now() + LIMIT_MS;
  for (;;) {
    // The identity is read first: a number that is given to somebody else meanwhile does not match it.
    const left = cgroups
      .processes(context.shimCgroup)
      .map((pid) => processes.identity(pid))
      .filter((found) => found !== null)
      .filter((found) => placeOf(`/proc/${found.pid}/cwd`) === place && processes.alive(found));
    if (left.length === 0) return;
    if (Date.now() > deadline) throw new EngineError('internal', 'what a start left behind does not end');
    for (const found of left) processes.signal(found, SIGKILL);
    await sleep(POLL_MS);
  }
}

/** Ends the one call of an OCI runtime that has `argument` on its command line, with all its children. */
export function killRuntimeCall(
  context: Context,
  task: { readonly directory: string; readonly cgroupPath: string },
  argument: string,
): void {
  const { cgroups, processes } = context.kernel;
  const place = placeOf(task.directory);
  const found = [context.shimCgroup, task.cgroupPath]
    .flatMap((path) => (cgroups.exists(path) ? cgroups.processes(path) : []))
    .map((pid) => processes.facts(pid))
    .filter((facts) => facts !== null);
  const doomed = new Set<number>();
  for (const { pid } of found)
    if (placeOf(`/proc/${pid}/cwd`) === place && argumentsOf(pid).includes(argument)) doomed.add(pid);
  let known = -1;
  while (known !== doomed.size) {
    known = doomed.size;
    for (const { pid, parentPid } of found) if (doomed.has(parentPid)) doomed.add(pid);
  }
  for (const facts of found) if (doomed.has(facts.pid)) processes.signal(facts, SIGKILL);
}

function argumentsOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

/** A directory's identity, whatever path leads to it; null when there is none. */
function placeOf(path: string): string | null {
  try {
    const { dev, ino } = statSync(path, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    return null;
  }
}
