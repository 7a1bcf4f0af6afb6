import { closeSync, openSync, readFileSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { errorCode, errorMessage } from '#base/errors.ts';
import type { ExitStatus, ProcessIdentity } from '#host/kernel.ts';
import type { ProgramKernel } from '#host/program.ts';
import type { SpecHook } from '#oci/runtime-spec.ts';
import { Failure } from './messages.ts';
import type { ShownState } from './state.ts';

export interface HookRun {
  readonly state: ShownState;
  /** Where a file can be made for a moment. */
  readonly directory: string;
  readonly kind: 'poststart' | 'poststop';
}

const MAX_OUTPUT = 4096;
const MAX_TIMER_MS = 2 ** 31 - 1;

/** A file without a name: it is gone with its last descriptor. */
function unnamed(directory: string, name: string): number {
  const path = join(directory, `.${name}.${process.pid}`);
  const fd = openSync(path, 'wx+', 0o600);
  unlinkSync(path);
  return fd;
}

function environment(list: readonly string[] | undefined): Record<string, string> {
  return Object.fromEntries(
    (list ?? []).map((entry) => {
      const at = entry.indexOf('=');
      return at < 0 ? [entry, ''] : [entry.slice(0, at), entry.slice(at + 1)];
    }),
  );
}

/**
 * `timeoutMs` may be Infinity; a timer alone takes no more than MAX_TIMER_MS, and fires at once beyond it.
 */
async function withTimeout(exited: Promise<ExitStatus>, timeoutMs: number): Promise<ExitStatus | null> {
  const stop = new AbortController();
  const late = async (): Promise<null> => {
    for (let left = timeoutMs; left > 0; left -= MAX_TIMER_MS)
      await pause(Math.min(left, MAX_TIMER_MS), null, { signal: stop.signal });
    return null;
  };
  try {
    return await Promise.race([exited, late().catch(() => null)]);
  } finally {
    stop.abort();
  }
}

/** What is spawned leads a session and a group of its own: what the hook has started ends with it. */
function killGroup(kernel: ProgramKernel, leader: ProcessIdentity): void {
  // Not reaped yet, so the number is still its own.
  if (!kernel.processes.alive(leader)) return;
  try {
    process.kill(-leader.pid, 'SIGKILL');
  } catch (error) {
    if (errorCode(error) !== 'ESRCH') throw error;
  }
}

async function runHook(kernel: ProgramKernel, hook: SpecHook, run: HookRun): Promise<void> {
  const input = unnamed(run.directory, 'hook-in');
  const output = unnamed(run.directory, 'hook-out');
  let reader = -1;
  try {
    writeSync(input, JSON.stringify(run.state));
    reader = openSync(`/proc/self/fd/${input}`, 'r');
    const fds = new Map([
      [0, reader],
      [1, output],
      [2, output],
    ]);
    const argv = hook.args !== undefined && hook.args.length > 0 ? hook.args : [hook.path];
    const env = environment(hook.env);
    const spawned = await kernel.processes.spawn({ path: hook.path, argv, env, fds, cwd: run.state.bundle });
    // Without a time-out it may take all day (and that wait keeps this program alive).
    const timeoutMs = (hook.timeout ?? Infinity) * 1000;
    const status = await withTimeout(spawned.exited, timeoutMs);
    if (status === null) {
      killGroup(kernel, spawned);
      throw new Failure(`hook ran past specified timeout of ${(timeoutMs / 1000).toFixed(1)}s`);
    }
    if ('exitCode' in status && status.exitCode === 0) return;
    const said = readFileSync(`/proc/self/fd/${output}`, 'utf8').slice(0, MAX_OUTPUT);
    const how = 'signal' in status ? `signal: ${status.signal}` : `exit status ${status.exitCode}`;
    throw new Failure(`${how}, stdout and stderr: ${said.trim()}`);
  } finally {
    for (const fd of [input, output, reader]) if (fd >= 0) closeSync(fd);
  }
}

/**
 * Hooks that run here, in the namespaces of the caller: poststart and poststop. A failed poststop hook does
 * not keep the others from running.
 */
export async function runHooks(
  kernel: ProgramKernel,
  hooks: readonly SpecHook[],
  run: HookRun,
): Promise<void> {
  const failures: string[] = [];
  for (const [index, hook] of hooks.entries()) {
    try {
      await runHook(kernel, hook, run);
    } catch (error) {
      failures.push(`error running ${run.kind} hook #${index}: ${errorMessage(error)}`);
      if (run.kind === 'poststart') break;
    }
  }
  if (failures.length > 0) throw new Failure(failures.join('; '));
}
