/**
 * How long the event loop of a process of node's does not turn, told by the kernel's tracer: from the moment
 * at which its main thread is wanted (it is woken in `epoll_pwait`, or that returns) to its next
 * `epoll_pwait`. Each stop is split into what ran, what waited for a processor, and what waited inside of a
 * system call; nothing is measured in the process itself.
 */
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';

const TRACING = '/sys/kernel/tracing';
const EVENTS = [
  'syscalls:sys_enter_epoll_pwait',
  'syscalls:sys_exit_epoll_pwait',
  'sched:sched_switch',
  'sched:sched_wakeup',
];
/** For each processor. */
const BUFFER_KIB = 32_768;

export interface LoopStop {
  /** On the monotonic clock. */
  readonly atMs: number;
  readonly ms: number;
  /** Ran; waited for a processor. What is left waited inside of system calls. */
  readonly ranMs: number;
  readonly queuedMs: number;
}

export interface LoopStops {
  readonly longest: LoopStop;
  /** What 99.9 % of the moments had to wait at most, were something to happen in each of them. */
  readonly p999Ms: number;
  /** The same, had the thread never waited for a processor. */
  readonly p999WithoutQueueMs: number;
  /** Most that one stop took without the time that it waited for a processor. */
  readonly longestWithoutQueueMs: number;
  readonly all: readonly LoopStop[];
}

const NONE: LoopStop = { atMs: 0, ms: 0, ranMs: 0, queuedMs: 0 };
const LINE = /^\s*.+-(\d+)\s+\[\d+\]\s+\S+\s+(\d+\.\d+): (\w+)(.*)/;

/** What the thread does between two events. */
type Doing = 'runs' | 'sleeps' | 'queued';

/** Puts the stops of one thread together from its events. */
class Stops {
  readonly #tid: string;
  readonly found: LoopStop[] = [];
  #doing: Doing = 'runs';
  #isPolling = false;
  #last = 0;
  #begin: number | null = null;
  #ran = 0;
  #queued = 0;

  constructor(tid: number) {
    this.#tid = String(tid);
  }

  line(text: string): void {
    const [, tid, seconds, event = '', rest = ''] = LINE.exec(text) ?? [];
    if (seconds === undefined) return;
    const atMs = Number(seconds) * 1000;
    this.#pass(atMs);
    if (event === 'sched_switch') this.#switch(rest);
    else if (event === 'sched_wakeup') this.#woken(rest, atMs);
    else if (tid === this.#tid && event === 'sys_epoll_pwait')
      if (rest.startsWith('(')) this.#enter(atMs);
      else this.#leave(atMs);
  }

  #pass(atMs: number): void {
    if (this.#doing === 'runs') this.#ran += atMs - this.#last;
    else if (this.#doing === 'queued') this.#queued += atMs - this.#last;
    this.#last = atMs;
  }

  #switch(rest: string): void {
    if (rest.includes(`next_pid=${this.#tid} `)) this.#doing = 'runs';
    else if (rest.includes(`prev_pid=${this.#tid} `))
      this.#doing = /prev_state=R/.test(rest) ? 'queued' : 'sleeps';
  }

  #woken(rest: string, atMs: number): void {
    if (!rest.includes(` pid=${this.#tid} `) || this.#doing === 'runs') return;
    this.#doing = 'queued';
    if (this.#isPolling) this.#start(atMs);
  }

  #start(atMs: number): void {
    if (this.#begin !== null) return;
    this.#begin = atMs;
    this.#ran = 0;
    this.#queued = 0;
  }

  #leave(atMs: number): void {
    this.#isPolling = false;
    this.#start(atMs);
  }

  #enter(atMs: number): void {
    this.#isPolling = true;
    this.#end(atMs);
  }

  #end(atMs: number): void {
    if (this.#begin === null) return;
    this.found.push({
      atMs: this.#begin,
      ms: atMs - this.#begin,
      ranMs: this.#ran,
      queuedMs: this.#queued,
    });
    this.#begin = null;
  }

  /** A stop that goes on counts as far as it was seen. */
  close(): void {
    this.#end(this.#last);
  }
}

/** Of moments spread evenly over the time, the wait that the given part of them does not exceed. */
function quantile(lengths: readonly number[], totalMs: number, part: number): number {
  const allowed = totalMs * (1 - part);
  const sorted = lengths.toSorted((a, b) => b - a);
  // With n stops longer than x, the moments that wait longer than x are their lengths less n times x.
  for (let n = 1, sum = 0; n <= sorted.length; n++) {
    sum += sorted[n - 1] ?? 0;
    const wait = (sum - allowed) / n;
    if (wait >= (sorted[n] ?? 0)) return Math.max(0, wait);
  }
  return 0;
}

/** From the text of a trace, for tests as well. */
export function readStops(trace: string, tid: number, totalMs: number): LoopStops {
  const stops = new Stops(tid);
  for (const line of trace.split('\n')) stops.line(line);
  stops.close();
  const { found } = stops;
  const most = (of: (one: LoopStop) => number): LoopStop =>
    found.reduce((best, one) => (of(one) > of(best) ? one : best), NONE);
  const own = (one: LoopStop): number => one.ms - one.queuedMs;
  return {
    longest: most((one) => one.ms),
    longestWithoutQueueMs: own(most(own)),
    p999Ms: quantile(
      found.map((one) => one.ms),
      totalMs,
      0.999,
    ),
    p999WithoutQueueMs: quantile(found.map(own), totalMs, 0.999),
    all: found,
  };
}

/** Events that the buffers had no room for would make every figure better. */
async function refuseLosses(folder: string): Promise<void> {
  for (const cpu of await readdir(`${folder}/per_cpu`)) {
    const stats = await readFile(`${folder}/per_cpu/${cpu}/stats`, 'utf8');
    const lost = /^(?:overrun|commit overrun|dropped events): [1-9].*$/m.exec(stats);
    if (lost !== null) throw new Error(`the kernel's tracer lost events (${cpu}: ${lost[0]})`);
  }
}

/** Traces the main thread of a process; null where the kernel has no tracer. */
export async function traceLoop(pid: number): Promise<{ stop(): Promise<LoopStops> } | null> {
  if (!existsSync(`${TRACING}/instances`)) return null;
  const folder = `${TRACING}/instances/gantry-bench-${pid}`;
  const write = (name: string, text: string): Promise<void> => writeFile(`${folder}/${name}`, text);
  await mkdir(folder);
  try {
    await write('trace_clock', 'mono');
    await write('buffer_size_kb', String(BUFFER_KIB));
    await write('set_event_pid', String(pid));
    for (const event of EVENTS) await writeFile(`${folder}/set_event`, event, { flag: 'a' });
    await write('tracing_on', '1');
  } catch (error) {
    await rmdir(folder);
    throw error;
  }
  const began = performance.now();
  return {
    async stop() {
      try {
        const totalMs = performance.now() - began;
        await write('tracing_on', '0');
        await refuseLosses(folder);
        return readStops(await readFile(`${folder}/trace`, 'utf8'), pid, totalMs);
      } finally {
        await rmdir(folder);
      }
    },
  };
}
