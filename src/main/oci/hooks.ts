import { closeSync, openSync, readFileSync, unlinkSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { errorMessage } from '#base/errors.ts';
import type { ExitStatus } from '#host/kernel.ts';
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

async function withTimeout(exited: Promise<ExitStatus>, timeoutMs: number): Promise<ExitStatus | null> {
  const stop = new AbortController();
  const late = pause(timeoutMs, null, { signal: stop.signal }).catch(() => null);
  try {
    return await Promise.race([exited, late]);
  } finally {
    stop.abort();
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
    const timeoutMs = hook.timeout === undefined ? 2 ** 31 - 1 : hook.timeout * 1000;
    const status = await withTimeout(spawned.exited, timeoutMs);
    if (status === null) {
      kernel.processes.signal(spawned, constants.signals.SIGKILL);
      throw new Failure(`hook ran past specified timeout of ${timeoutMs / 1000}s`);
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
