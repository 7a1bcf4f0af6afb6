/**
 * `node tools/profile-run.ts [--runs N] [--network MODE] [--runtime PATH] [--pause MS]`: where the
 * time of one `run --rm busybox true` goes. The engine runs inside of this process, in a network namespace of
 * its own; a wrapper around the kernel interface takes the times. Prints medians of each call.
 */
import { spawnSync } from 'node:child_process';
import { createReadStream, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { Kernel } from '#host/kernel.ts';
import { createLog } from '#base/log.ts';
import { loadConfig } from '../src/daemon/config.ts';
import { parseFlags } from '../src/daemon/config/flags.ts';
import { readInstance } from '../src/daemon/data-root.ts';
import { LiveSettings } from '../src/daemon/live-settings.ts';
import { openKernel, wire, type Engine } from '../src/daemon/wire.ts';
import { busyboxArchive } from '../test/support/images.ts';
import { removeCgroups } from '../test/support/leaks.ts';

interface Span {
  readonly call: string;
  readonly beganMs: number;
  readonly tookMs: number;
}

/** The kernel interface, with every call's begin and duration told to `onCall`. */
function watched(kernel: Kernel, onCall: (span: Span) => void): Kernel {
  const wrap = <T extends object>(target: T, path: string): T =>
    new Proxy(target, {
      get(object, key): unknown {
        const value: unknown = Reflect.get(object, key);
        const name = path === '' ? String(key) : `${path}.${String(key)}`;
        if (typeof value === 'object' && value !== null && !Array.isArray(value)) return wrap(value, name);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]): unknown => {
          const beganMs = performance.now();
          const done = (): void => onCall({ call: name, beganMs, tookMs: performance.now() - beganMs });
          const result: unknown = Reflect.apply(value, object, args);
          if (result instanceof Promise) result.then(done, done);
          else done();
          return result;
        };
      },
    });
  return wrap(kernel, '');
}

interface Run {
  readonly createMs: number;
  readonly startMs: number;
  readonly endMs: number;
  /** Processor time, whoever else wanted it: of the main thread, and of all threads of this process. */
  readonly mainMs: number;
  readonly threadsMs: number;
  /** Begin of each call after the start was asked for, and how long it took. */
  readonly calls: ReadonlyMap<string, readonly [sinceStartMs: number, tookMs: number]>;
}

const milliseconds = ({ user, system }: NodeJS.CpuUsage): number => (user + system) / 1000;

async function oneRun(engine: Engine, spans: Span[], network: string): Promise<Run> {
  const { containers } = engine.backends;
  const body = { Image: 'busybox', Cmd: ['true'], HostConfig: { AutoRemove: true, NetworkMode: network } };
  const main = process.threadCpuUsage();
  const threads = process.cpuUsage();
  const began = performance.now();
  const { Id } = await containers.create({ name: '', body, platform: null, apiVersion: '1.51' });
  const createMs = performance.now() - began;
  const { reply } = await containers.wait(Id, 'removed', new AbortController().signal);
  spans.length = 0;
  const asked = performance.now();
  await containers.start(Id);
  const started = performance.now();
  await reply;
  const endMs = performance.now() - started;
  const mainMs = milliseconds(process.threadCpuUsage(main));
  const threadsMs = milliseconds(process.cpuUsage(threads));
  const counts = new Map<string, number>();
  const calls = new Map<string, readonly [number, number]>();
  for (const { call, beganMs, tookMs } of spans.toSorted((a, b) => a.beganMs - b.beganMs)) {
    const count = (counts.get(call) ?? 0) + 1;
    counts.set(call, count);
    if (beganMs >= asked) calls.set(count === 1 ? call : `${call} (${count})`, [beganMs - asked, tookMs]);
  }
  return { createMs, startMs: started - asked, endMs, mainMs, threadsMs, calls };
}

function quantile(values: readonly number[], part: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * part)] ?? Number.NaN;
}

const median = (values: readonly number[]): number => quantile(values, 0.5);
/** What the same costs when nothing else wants the processor. */
const quiet = (values: readonly number[]): number => quantile(values, 0.1);

function report(runs: readonly Run[]): string {
  const figure = (value: number): string => value.toFixed(2).padStart(8);
  const names = new Set(runs.flatMap((run) => [...run.calls.keys()]));
  const rows = [...names].flatMap((name) => {
    const pairs = runs.map((run) => run.calls.get(name)).filter((pair) => pair !== undefined);
    if (pairs.length < runs.length / 2) return [];
    const [begins, times] = [pairs.map(([at]) => at), pairs.map(([, took]) => took)];
    return [{ name, at: median(begins), took: median(times), low: quiet(times) }];
  });
  const lines = rows
    .toSorted((a, b) => a.at - b.at)
    .map(({ name, at, took, low }) => `${figure(at)} ${figure(took)} ${figure(low)}  ${name}`);
  const whole = [
    ['create', runs.map((run) => run.createMs)],
    ['start', runs.map((run) => run.startMs)],
    ['exit and removal', runs.map((run) => run.endMs)],
    ['together', runs.map((run) => run.createMs + run.startMs + run.endMs)],
    ['processor time of the main thread', runs.map((run) => run.mainMs)],
    ['processor time of all threads', runs.map((run) => run.threadsMs)],
  ] as const;
  const sums = whole.map(
    ([name, values]) => `${' '.repeat(9)}${figure(median(values))} ${figure(quiet(values))}  ${name}`,
  );
  return [`medians of ${runs.length} runs, ms`, '   start     took    quiet', ...lines, ...sums, ''].join(
    '\n',
  );
}

/** What a group and those below it, also the ones that are gone, have used. */
function processorMs(kernel: Kernel, path: string): number {
  const nanos = kernel.cgroups.read(path, 'cpuacct', 'cpuacct.usage');
  if (nanos !== null) return Number(nanos) / 1e6;
  return Number(/^usage_usec (\d+)/m.exec(kernel.cgroups.read(path, '', 'cpu.stat') ?? '')?.[1] ?? 0) / 1e3;
}

interface Wish {
  readonly runs: number;
  readonly network: string;
  readonly runtime: string;
  /** Between two runs: without it, each meets what the kernel still takes down of the last. */
  readonly pauseMs: number;
}

async function profile({ runs, network, runtime, pauseMs }: Wish): Promise<void> {
  const root = mkdtempSync('/tmp/gantry-profile-');
  const parent = `/${root.slice('/tmp/'.length)}`;
  // As /run on most hosts: on tmpfs.
  const execRoot = `/dev/shm${parent}`;
  const flags = [
    '--data-root',
    join(root, 'data'),
    '--exec-root',
    execRoot,
    '--cgroup-parent',
    parent,
    ...(runtime === '' ? [] : ['--add-runtime', `other=${runtime}`, '--default-runtime', 'other']),
  ];
  const config = loadConfig(parseFlags(flags).values);
  mkdirSync(config.dataRoot);
  const spans: Span[] = [];
  const kernel = watched(openKernel(), (span) => void spans.push(span));
  const log = createLog({
    level: 'warn',
    format: 'pretty',
    write: (line) => void process.stderr.write(line),
  });
  const instance = await readInstance(config.dataRoot);
  const engine = await wire({ config, kernel, instance, log, live: new LiveSettings(config) });
  try {
    await engine.restore();
    const { archive } = await busyboxArchive();
    await engine.backends.images.load(createReadStream(archive), {
      quiet: true,
      onProgress: () => undefined,
    });
    const done: Run[] = [];
    for (let i = 0; i < runs + 3; i++) {
      await setTimeout(pauseMs);
      done.push(await oneRun(engine, spans, network));
    }
    process.stdout.write(report(done.slice(3)));
    const groups = [parent, `/gantry-${instance.slice(0, 6)}`];
    const [inside = 0, shims = 0] = groups.map((path) => processorMs(kernel, path) / done.length);
    process.stdout.write(`${shims.toFixed(2).padStart(17)}           mean processor time of shims\n`);
    process.stdout.write(`${inside.toFixed(2).padStart(17)}           the same of containers\n`);
  } finally {
    await engine.close();
    await removeCgroups(parent);
    await removeCgroups(`/gantry-${instance.slice(0, 6)}`);
    for (const path of [root, execRoot]) rmSync(path, { recursive: true, force: true });
  }
}

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '50' },
    network: { type: 'string', default: 'bridge' },
    runtime: { type: 'string', default: '' },
    pause: { type: 'string', default: '0' },
    inside: { type: 'boolean', default: false },
  },
});
if (values.inside) {
  const { network, runtime } = values;
  await profile({ runs: Number(values.runs), network, runtime, pauseMs: Number(values.pause) });
  process.exit(0);
}
const again = [...process.execArgv, import.meta.filename, ...process.argv.slice(2), '--inside'];
process.exitCode =
  spawnSync('unshare', ['--net', process.execPath, ...again], { stdio: 'inherit' }).status ?? 1;
