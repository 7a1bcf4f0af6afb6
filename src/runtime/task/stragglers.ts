import { readlinkSync, realpathSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { EngineError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { CONTROL_FD } from '../shim/spawn.ts';
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

/**
 * Ends the shim of a task directory and what it started that has not reached the container's cgroup. `end`:
 * of a shim that may not have gone there yet.
 */
export async function killStragglers(context: Context, directory: string, end = 0): Promise<void> {
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
      .filter(({ pid }) => isIn(pid, place) || hasEnd(pid, end))
      .filter((found) => processes.alive(found));
    if (left.length === 0) return;
    if (Date.now() > deadline) throw new EngineError('internal', 'what a start left behind does not end');
    for (const found of left) processes.signal(found, SIGKILL);
    await sleep(POLL_MS);
  }
}

/** Ends the one call of an OCI runtime that has `argument` on its command line, with all its children. */
export async function killRuntimeCall(
  context: Context,
  task: { readonly directory: string; readonly cgroupPath: string },
  argument: string,
): Promise<void> {
  const { cgroups, processes } = context.kernel;
  const place = placeOf(task.directory);
  if (place === null) return;
  const found = [context.shimCgroup, task.cgroupPath]
    .flatMap((path) => (cgroups.exists(path) ? cgroups.processes(path) : []))
    .map((pid) => processes.facts(pid))
    .filter((facts) => facts !== null);
  const doomed = new Set<number>();
  const near = found.filter(({ pid }) => isIn(pid, place));
  const calls = await Promise.all(
    near.map(async ({ pid }) => (await argumentsOf(context, pid)).includes(argument)),
  );
  for (const [index, { pid }] of near.entries()) if (calls[index] === true) doomed.add(pid);
  let known = -1;
  while (known !== doomed.size) {
    known = doomed.size;
    for (const { pid, parentPid } of found) if (doomed.has(parentPid)) doomed.add(pid);
  }
  for (const facts of found) if (doomed.has(facts.pid)) processes.signal(facts, SIGKILL);
}

/** Read from the process's own memory, which may lie in a file that hangs. */
async function argumentsOf({ kernel }: Context, pid: number): Promise<string[]> {
  const { files } = kernel;
  const root = files.openRoot('/proc');
  try {
    return (await files.slow.readFile(root, `${pid}/cmdline`, LIMITS.taskFileBytes)).toString().split('\0');
  } catch {
    return [];
  } finally {
    files.close(root);
  }
}

/**
 * By the text of the link: nobody walks into the process's own tree, which may hang. A container's process
 * can bear the same text, and harms itself alone: it is in no shim's cgroup.
 */
function isIn(pid: number, directory: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/cwd`).replace(/ \(deleted\)$/, '') === directory;
  } catch {
    return false;
  }
}

/** Whether its descriptor 3 is that socket. */
function hasEnd(pid: number, end: number): boolean {
  try {
    return end > 0 && readlinkSync(`/proc/${pid}/fd/${CONTROL_FD}`) === `socket:[${end}]`;
  } catch {
    return false;
  }
}

/** A task directory as the kernel calls it; null when there is none. */
function placeOf(directory: string): string | null {
  try {
    return realpathSync(directory);
  } catch {
    return null;
  }
}
