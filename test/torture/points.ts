import { spawn, type ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { until } from '../support/command.ts';
import { startDaemon, type TestDaemon } from '../support/daemon.ts';
import { removeEverything, settledViolations } from './checks.ts';
import { seeded } from './clients.ts';
import { Ledger, type Entry } from './ledger.ts';
import type { Violation } from './rules.ts';

export interface PointOptions {
  /** How many kill points to try, over all of the daemon's threads. */
  readonly points: number;
  readonly archive: string;
  readonly image: string;
  readonly seed: number;
  readonly report?: (line: string) => void;
}

/** System calls that change something outside of the process, or tell somebody. */
const CHANGING = [
  ...['mkdir', 'mkdirat', 'rmdir', 'rename', 'renameat', 'renameat2', 'unlink', 'unlinkat', 'link', 'linkat'],
  ...['symlink', 'symlinkat', 'mknodat', 'ftruncate', 'chmod', 'fchmod', 'fchmodat', 'fchown', 'fchownat'],
  ...['write', 'pwrite64', 'writev', 'fsync', 'fdatasync', 'sendmsg', 'sendto', 'openat', 'openat2', 'close'],
  ...[
    'clone',
    'clone3',
    'fork',
    'vfork',
    'setns',
    'unshare',
    'socket',
    'bind',
    'connect',
    'fsopen',
    'fsconfig',
  ],
  ...['fsmount', 'move_mount', 'mount', 'umount2', 'setxattr', 'utimensat', 'pidfd_send_signal', 'kill'],
];

type Threads = 'main' | 'others';

function threadsOf(pid: number, which: Threads): number[] {
  const all = readdirSync(`/proc/${pid}/task`).map(Number);
  return all.filter((id) => (id === pid) === (which === 'main'));
}

function isTraced(pid: number, thread: number): boolean {
  try {
    return !/^TracerPid:\t0$/m.test(readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8'));
  } catch {
    return true;
  }
}

/** Attaches strace to threads of the daemon and to nothing else: the processes it starts are not followed. */
async function trace(pid: number, which: Threads, options: readonly string[]): Promise<ChildProcess> {
  const threads = threadsOf(pid, which);
  const args = ['-qq', '-e', 'signal=none', ...options, ...threads.flatMap((id) => ['-p', String(id)])];
  const child = spawn('strace', args, { stdio: ['ignore', 'ignore', 'ignore'] });
  await until(() => (threads.every((id) => isTraced(pid, id)) ? true : undefined), {
    what: 'strace attached',
  });
  return child;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null)
    await new Promise((resolve) => child.once('exit', resolve));
}

class Gone extends Error {}

/** One of everything, in order, until the daemon is gone. */
class Sequence {
  readonly #daemon: TestDaemon;
  readonly #ledger: Ledger;
  readonly #image: string;
  readonly #name: string;

  constructor(
    daemon: TestDaemon,
    ledger: Ledger,
    options: { readonly image: string; readonly name: string },
  ) {
    this.#daemon = daemon;
    this.#ledger = ledger;
    this.#image = options.image;
    this.#name = options.name;
  }

  /** True when it came to its end. */
  async run(): Promise<boolean> {
    try {
      const sleeper = await this.#create('sleeper', ['sleep', '86400']);
      await this.#start(sleeper);
      const state = await this.#call('GET', `/containers/${sleeper.id}/json`);
      sleeper.pid = (state as { State: { Pid: number } }).State.Pid;
      await this.#exec(sleeper);
      const exiter = await this.#create('exiter', ['sh', '-c', 'exit 7']);
      await this.#start(exiter);
      await this.#call('POST', `/containers/${exiter.id}/wait`);
      const vanisher = await this.#create('vanisher', ['true']);
      await this.#start(vanisher);
      sleeper.stop = 'attempted';
      await this.#call('POST', `/containers/${sleeper.id}/stop?t=0`);
      sleeper.stop = 'acknowledged';
      await this.#remove(sleeper);
      await this.#remove(exiter);
      return true;
    } catch (error) {
      if (error instanceof Gone) return false;
      throw error;
    }
  }

  async #call(method: string, path: string, body?: unknown): Promise<unknown> {
    const options = { method, timeoutMs: 20_000, ...(body !== undefined && { body }) };
    const answer = await this.#daemon.api(path, options).catch(() => {
      throw new Gone();
    });
    if (answer.status >= 300)
      this.#ledger.unexpected.push(`${method} ${path}: ${answer.status} ${answer.body.toString()}`);
    else this.#ledger.acknowledged++;
    return answer.json;
  }

  async #create(kind: Entry['kind'], cmd: readonly string[]): Promise<Entry> {
    const entry = this.#ledger.add({
      name: `${this.#name}-${kind}`,
      kind,
      exitCode: kind === 'exiter' ? 7 : 0,
    });
    entry.create = 'attempted';
    const body = { Image: this.#image, Cmd: cmd, HostConfig: { AutoRemove: kind === 'vanisher' } };
    const made = await this.#call('POST', `/containers/create?name=${entry.name}`, body);
    entry.id = (made as { Id: string }).Id;
    entry.create = 'acknowledged';
    return entry;
  }

  async #start(entry: Entry): Promise<void> {
    entry.start = 'attempted';
    await this.#call('POST', `/containers/${entry.id}/start`);
    entry.start = 'acknowledged';
  }

  async #exec(entry: Entry): Promise<void> {
    const body = { Cmd: ['true'], AttachStdout: true };
    const { Id } = (await this.#call('POST', `/containers/${entry.id}/exec`, body)) as { Id: string };
    await this.#call('POST', `/exec/${Id}/start`, { Detach: true });
  }

  async #remove(entry: Entry): Promise<void> {
    entry.remove = 'attempted';
    await this.#call('DELETE', `/containers/${entry.id}?force=1`);
    entry.remove = 'acknowledged';
  }
}

/** A moment to kill at: the `when`-th call of one kind by one thread. */
interface Moment {
  readonly call: string;
  readonly when: number;
}

function momentsOf(trace: string): Moment[] {
  const counts = new Map<string, number>();
  return trace.split('\n').flatMap((line) => {
    const call = /^(\w+)\(/.exec(line)?.[1];
    if (call === undefined) return [];
    const when = (counts.get(call) ?? 0) + 1;
    counts.set(call, when);
    return [{ call, when }];
  });
}

/** What the threads call during one sequence, in order. */
async function record(daemon: TestDaemon, sequence: Sequence, which: Threads): Promise<Moment[]> {
  const log = `${daemon.root}/trace-${which}`;
  const child = await trace(daemon.pid, which, ['-ff', '-o', log, '-e', `trace=${CHANGING.join(',')}`]);
  await sequence.run();
  child.kill('SIGTERM');
  await ended(child);
  const files = readdirSync(daemon.root).filter((name) => name.startsWith(`trace-${which}`));
  return files.flatMap((name) => momentsOf(readFileSync(`${daemon.root}/${name}`, 'utf8')));
}

/**
 * Kills the daemon as it enters one of its changing system calls, at many points of one sequence of
 * operations, and holds what was promised against what is. Half of the points are calls of the main thread,
 * half of the others.
 */
export async function sweepPoints(
  options: PointOptions,
): Promise<{ violations: Violation[]; hits: number; calls: number }> {
  const { image } = options;
  const random = seeded(options.seed);
  const ledger = new Ledger();
  const violations: Violation[] = [];
  await using daemon = await startDaemon();
  await daemon.loadImage(options.archive);
  const next = (name: string): Sequence => new Sequence(daemon, ledger, { image, name });
  // The first one makes every thread there is.
  await next('warm').run();
  const main = await record(daemon, next('count-main'), 'main');
  const moments = { main, others: await record(daemon, next('count-others'), 'others') };
  let hits = 0;
  for (let point = 0; point < options.points; point++) {
    const which: Threads = point % 2 === 0 ? 'main' : 'others';
    // Evenly spread, with a little chance, so that two sweeps do not try the same points.
    const index = Math.floor(((point + random()) / options.points) * moments[which].length);
    const { call, when } = moments[which][index] ?? { call: 'write', when: 1 };
    if (!(await next(`warm${point}`).run())) throw new Error('the daemon ended by itself');
    const { pid } = daemon;
    const child = await trace(pid, which, ['-e', `inject=${call}:signal=SIGKILL:when=${when}`]);
    const finished = await next(`p${point}`).run();
    if (!finished) hits++;
    child.kill('SIGTERM');
    await ended(child);
    await daemon.restart('SIGKILL');
    const found = await settledViolations(daemon, ledger.entries);
    for (const text of ledger.unexpected.splice(0)) found.push({ rule: 'API', text });
    if (point % 10 === 9) found.push(...(await removeEverything(daemon, ledger.entries, image)));
    options.report?.(
      `point ${point + 1}: ${which}, ${call} ${when}${finished ? ' not reached' : ''}, ${found.length} violations`,
    );
    for (const { rule, text } of found) options.report?.(`  ${rule}: ${text}`);
    violations.push(...found.map(({ rule, text }) => ({ rule, text: `${which}, ${call} ${when}: ${text}` })));
    if (found.length > 0 || point % 10 === 9) {
      await removeEverything(daemon, ledger.entries, image);
      ledger.entries.length = 0;
    }
  }
  violations.push(...(await removeEverything(daemon, ledger.entries, image)));
  return { violations, hits, calls: moments.main.length + moments.others.length };
}
