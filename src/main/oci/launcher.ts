import { closeSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { isJsonObject, parseJson } from '#base/json.ts';
import { isKernelError } from '#host/kernel-error.ts';
import { packageRoot, type ProgramKernel } from '#host/program.ts';
import { sealProgram } from '#host/sealed-program.ts';
import type { LaunchFailure } from '#runtime/launch-plan.ts';
import { Failure } from './messages.ts';

/** Where the process's terminal goes. */
export type Console = { readonly path: string } | 'here';

export interface Launch {
  readonly plan: Uint8Array;
  /** A directory for a file that exists for a moment. */
  readonly directory: string;
  /** Descriptors by slot number. */
  readonly slots: ReadonlyMap<number, number>;
  /** Descriptors from 3 on that the process gets, too. */
  readonly preserved: number;
  readonly console?: Console;
  /** Its parent stays, and ends as the process does. */
  readonly wait: boolean;
}

export interface Launched {
  readonly pid: number;
  /** The other side of its terminal, with console `here`. */
  readonly master: number | null;
  /** With `wait`: the exit code, 128 and more for a signal. */
  readonly exited: Promise<number>;
}

export type LaunchResult = Launched | { readonly failure: LaunchFailure };

/** Compiled filters lie beside the program: who may write there may change the program itself. */
export const FILTERS = join(packageRoot(), 'dist', 'filters');

const FIRST = 3;
const MAX_PRESERVED = 48;
const KEEP_ALIVE_MS = 60_000;

/** A promise that nothing else keeps this program alive for. */
export async function awaited<T>(promise: Promise<T>): Promise<T> {
  const timer = setInterval(() => undefined, KEEP_ALIVE_MS);
  try {
    return await promise;
  } finally {
    clearInterval(timer);
  }
}

/** A descriptor to read the plan from, of a file without a name. */
function planFile(directory: string, plan: Uint8Array): number {
  const path = join(directory, `.plan.${process.pid}`);
  const fd = openSync(path, 'wx', 0o600);
  try {
    const reader = openSync(path, 'r');
    for (let done = 0; done < plan.length; ) done += writeSync(fd, plan, done);
    return reader;
  } finally {
    closeSync(fd);
    unlinkSync(path);
  }
}

/** Numbers in the child for all that it gets: the preserved ones keep theirs. */
class Descriptors {
  readonly fds = new Map<number, number>();
  #next: number;

  constructor(preserved: number) {
    if (preserved < 0 || preserved > MAX_PRESERVED) {
      throw new Failure(`no more than ${MAX_PRESERVED} descriptors can be preserved`);
    }
    for (let fd = 0; fd < FIRST + preserved; fd++) this.fds.set(fd, fd);
    this.#next = FIRST + preserved;
  }

  add(fd: number): number {
    const number = this.#next++;
    this.fds.set(number, fd);
    return number;
  }
}

function parseReport(line: string): { pid: number } | { failure: LaunchFailure } {
  const value: unknown = parseJson(line, 'report of the launcher');
  if (!isJsonObject(value)) throw new Failure('the launcher reported nothing that can be understood');
  if (typeof value['pid'] === 'number') return { pid: value['pid'] };
  const text = (name: string): string => {
    const given = value[name];
    return typeof given === 'string' ? given : '';
  };
  const number = (name: string): number => Number(value[name] ?? 0);
  return {
    failure: {
      list: text('list'),
      index: number('index'),
      code: number('code'),
      errno: number('errno'),
      status: number('status'),
      step: text('step'),
      object: text('object'),
    },
  };
}

/** The first line that the launcher says; null when it ended without one. */
async function firstReport(
  kernel: ProgramKernel,
  socket: number,
): Promise<ReturnType<typeof parseReport> | null> {
  let text = '';
  for (;;) {
    const end = text.indexOf('\n');
    if (end >= 0) return parseReport(text.slice(0, end));
    try {
      text += (await kernel.sockets.receiveFds(socket)).message.toString();
    } catch (error) {
      if (isKernelError(error, 'ECONNRESET')) return null;
      throw error;
    }
  }
}

/** Carries out a plan in a process of its own. */
export async function launch(kernel: ProgramKernel, request: Launch): Promise<LaunchResult> {
  const program = sealProgram(join(packageRoot(), 'dist', 'native', 'gantry-shim'));
  const descriptors = new Descriptors(request.preserved);
  const opened: number[] = [];
  const pair = (): readonly [number, number] => {
    const [ours, theirs] = kernel.sockets.pair();
    opened.push(ours, theirs);
    return [ours, theirs];
  };
  try {
    const plan = planFile(request.directory, request.plan);
    opened.push(plan);
    const [reports, report] = pair();
    const argv = [
      'gantry-shim',
      'launch',
      String(descriptors.add(plan)),
      `report=${descriptors.add(report)}`,
    ];
    if (request.wait) argv.push('wait');
    let terminal = -1;
    if (request.console === 'here') {
      const [ours, theirs] = pair();
      terminal = ours;
      argv.push(`console=@${descriptors.add(theirs)}`);
    } else if (request.console !== undefined) argv.push(`console=${request.console.path}`);
    for (const [slot, fd] of request.slots) argv.push(`${slot}=${descriptors.add(fd)}`);
    const spawned = await kernel.processes.spawn({ path: program.path, argv, env: {}, fds: descriptors.fds });
    // The ends that are the launcher's: without them, its end is the end of the messages.
    for (const fd of opened.filter((one) => one !== reports && one !== terminal)) close(opened, fd);
    const exited = spawned.exited.then((status) =>
      'exitCode' in status ? status.exitCode : 128 + status.signal,
    );
    const said = await firstReport(kernel, reports);
    if (said === null) throw new Failure(`the launcher ended with ${await awaited(exited)} and said nothing`);
    if ('failure' in said) {
      await awaited(exited);
      return said;
    }
    if (!request.wait) await awaited(exited);
    const master = terminal < 0 ? null : ((await kernel.sockets.receiveFds(terminal)).fds[0] ?? null);
    return { pid: said.pid, master, exited };
  } finally {
    for (const fd of [...opened]) close(opened, fd);
    program.close();
  }
}

function close(opened: number[], fd: number): void {
  opened.splice(opened.indexOf(fd), 1);
  closeSync(fd);
}
