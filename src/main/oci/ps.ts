import { closeSync, openSync, readFileSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { ProgramKernel } from '#host/program.ts';
import type { Context } from './context.ts';
import { Failure, print } from './messages.ts';
import type { Saved } from './state.ts';
import { isAlive } from './state.ts';

const PATHS = ['/usr/bin/ps', '/bin/ps'];

/** What the host's `ps` prints for these options. */
async function tableOfHost(
  kernel: ProgramKernel,
  directory: string,
  options: readonly string[],
): Promise<string> {
  const path = join(directory, `ps.${process.pid}`);
  const fd = openSync(path, 'wx+', 0o600);
  unlinkSync(path);
  try {
    for (const program of PATHS) {
      const fds = new Map([
        [1, fd],
        [2, 2],
      ]);
      const argv = ['ps', ...(options.length === 0 ? ['-ef'] : options)];
      const env = { LC_ALL: process.env['LC_ALL'] ?? 'C', COLUMNS: '32767' };
      const spawned = await kernel.processes.spawn({ path: program, argv, env, fds }).catch(() => null);
      if (spawned === null) continue;
      // An ended child is noticed by its signal, which alone does not keep this program alive.
      const alive = setInterval(() => undefined, 1000);
      const status = await spawned.exited.finally(() => clearInterval(alive));
      if (!('exitCode' in status) || status.exitCode !== 0) throw new Failure('ps failed');
      return readFileSync(`/proc/self/fd/${fd}`, 'utf8');
    }
  } finally {
    closeSync(fd);
  }
  throw new Failure("no ps on this host: use --format json, or look into the container's own");
}

/** The lines whose column PID is one of these, and the head. */
export function linesOf(output: string, pids: readonly number[]): string {
  const [head = '', ...lines] = output.split('\n');
  const column = head.split(/\s+/).filter(Boolean).indexOf('PID');
  if (column < 0) throw new Failure("couldn't find PID field in ps output");
  const wanted = new Set(pids.map(String));
  const found = lines.filter((line) => wanted.has(line.split(/\s+/).filter(Boolean)[column] ?? ''));
  return [head, ...found].map((line) => `${line}\n`).join('');
}

export function processesOf(kernel: ProgramKernel, saved: Saved): readonly number[] {
  const pids = saved.cgroup === '/' ? [] : [...kernel.cgroups().processes(saved.cgroup)];
  if (pids.length === 0 && isAlive(kernel.processes, saved)) pids.push(saved.pid);
  return pids.sort((a, b) => a - b);
}

export async function ps({ kernel, store, flags, words }: Context): Promise<void> {
  const [id = '', ...options] = words;
  const format = flags.text('format') ?? 'table';
  const saved = store.get(id);
  const pids = processesOf(kernel, saved);
  if (format === 'json') return print(`${JSON.stringify(pids)}\n`);
  if (format !== 'table') throw new Failure('invalid format option');
  await print(linesOf(await tableOfHost(kernel, saved.directory, options), pids));
}
