/**
 * Pull, load, save and push of an image of half a gigabyte, by several engines in turn, each beside a
 * registry of the same kind in its own network namespace.
 */
import { mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { make } from '../../tools/build-steps/target.ts';
import { BIG_IMAGE, bigImageTarget, readBigImage } from '../../tools/set-up/big-image.ts';
import { must, run } from '../support/command.ts';
import { HttpClient } from './http-client.ts';
import { traceLoop, type LoopStops } from './loop-stops.ts';
import { type RealKind, type RealRegistry, startRegistry } from '../support/registry/real.ts';

export interface ImageEngine {
  readonly label: string;
  readonly socket: string;
  /** Of the daemon, or of any process of the pid namespace that holds nothing but the engine. */
  readonly pid: number;
  /** The whole engine is this one process; else everything in its pid namespace is counted. */
  readonly isOneProcess: boolean;
  /** Where images lie on disk. */
  readonly dataRoot: string;
  readonly isPodman: boolean;
}

export interface ImageSample {
  readonly ms: number;
  /** Of the engine's processes, while it worked. */
  readonly cpuMs: number;
  /** Most memory that was resident at once, KiB. */
  readonly peakKib: number;
  /** 99.9th percentile of what a ping takes meanwhile: how long the engine kept others waiting. */
  readonly pingMs: number;
  /** Of an engine whose event loop can be traced. */
  readonly loop: LoopFigures | null;
}

/** How long the event loop did not turn, in milliseconds. */
export interface LoopFigures {
  readonly longest: number;
  readonly p999: number;
  /** Had it never waited for a processor. */
  readonly longestWithoutQueue: number;
  readonly p999WithoutQueue: number;
}

export type Verb = 'pull' | 'load' | 'save' | 'push';
export const VERBS: readonly Verb[] = ['pull', 'load', 'save', 'push'];

const ADDRESS = '127.0.0.1:5000';
const REFERENCE = `${ADDRESS}/bench/big:1`;
const TICKS_PER_SECOND = 100;

async function processesOf(engine: ImageEngine): Promise<string[]> {
  if (engine.isOneProcess) return [String(engine.pid)];
  const namespace = await readlink(`/proc/${engine.pid}/ns/pid`);
  const found: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name)))
    if ((await readlink(`/proc/${pid}/ns/pid`).catch(() => '')) === namespace) found.push(pid);
  return found;
}

/** Time on processors, ended children included. */
async function cpuMs(engine: ImageEngine): Promise<number> {
  let ticks = 0;
  for (const pid of await processesOf(engine)) {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    for (const index of [11, 12, 13, 14]) ticks += Number(fields[index] ?? 0);
  }
  return (ticks / TICKS_PER_SECOND) * 1000;
}

async function forgetPeaks(engine: ImageEngine): Promise<void> {
  for (const pid of await processesOf(engine))
    await writeFile(`/proc/${pid}/clear_refs`, '5').catch(() => undefined);
}

async function peakKib(engine: ImageEngine): Promise<number> {
  let sum = 0;
  for (const pid of await processesOf(engine)) {
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
    sum += Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0);
  }
  return sum;
}

/**
 * Two seconds after much memory was freed a virtual machine gives it back to its host, and may stand still
 * for it, all processors at once.
 */
const GIVEN_BACK_MS = 4000;

async function dropCaches(): Promise<void> {
  await must('sync', []);
  await writeFile('/proc/sys/vm/drop_caches', '3');
  await sleep(GIVEN_BACK_MS);
}

/** By curl, so that what this process does is in no figure. Errors: an answer that tells one. */
async function curl(engine: ImageEngine, args: readonly string[]): Promise<string> {
  const flags = ['-sS', '--fail-with-body', '--unix-socket', engine.socket];
  const { exit, stdout, stderr } = await run('curl', [...flags, ...args], { timeoutMs: 600_000 });
  if (exit !== 0 || /"error":/.test(stdout))
    throw new Error(`${engine.label}: ${args.at(-1)}: ${stderr} ${stdout.slice(-500)}`);
  return stdout;
}

const url = (path: string): string => `http://engine/v1.41${path}`;
const podmanUrl = (path: string): string => `http://engine/v4.0.0/libpod${path}`;

async function remove(engine: ImageEngine, reference: string): Promise<void> {
  await curl(engine, ['-X', 'DELETE', url(`/images/${reference}?force=1`)]).catch(() => undefined);
}

async function pull(engine: ImageEngine): Promise<void> {
  const address = engine.isPodman
    ? podmanUrl(`/images/pull?tlsVerify=false&reference=${encodeURIComponent(REFERENCE)}`)
    : url(`/images/create?fromImage=${encodeURIComponent(`${ADDRESS}/bench/big`)}&tag=1`);
  await curl(engine, ['-X', 'POST', address]);
}

async function push(engine: ImageEngine): Promise<void> {
  const destination = encodeURIComponent(REFERENCE);
  const address = engine.isPodman
    ? podmanUrl(`/images/${destination}/push?tlsVerify=false&destination=${destination}`)
    : url(`/images/${ADDRESS}/bench/big/push?tag=1`);
  await curl(engine, ['-X', 'POST', '-H', 'X-Registry-Auth: e30=', address]);
}

async function load(engine: ImageEngine): Promise<void> {
  const body = [
    '-X',
    'POST',
    '-H',
    'Content-Type: application/x-tar',
    '-H',
    'Expect:',
    '-T',
    BIG_IMAGE.archive,
  ];
  await curl(engine, [...body, url('/images/load?quiet=1')]);
}

async function save(engine: ImageEngine, reference: string): Promise<void> {
  const bytes = await curl(engine, [
    '-o',
    '/dev/null',
    '-w',
    '%{size_download}',
    url(`/images/${reference}/get`),
  ]);
  if (Number(bytes) < 1e8) throw new Error(`${engine.label}: save gave ${bytes} bytes only`);
}

/** Puts the image into a registry's folder, which the ones that serve pulls then read. */
async function seed(registry: RealRegistry): Promise<void> {
  const image = readBigImage();
  const base = `http://${registry.address}/v2/bench/big`;
  const put = async (address: string, args: readonly string[]): Promise<void> => {
    await must('curl', ['-sS', '--fail', '-X', 'PUT', ...args, address], { timeoutMs: 600_000 });
  };
  const upload = async (digest: string, args: readonly string[]): Promise<void> => {
    const begun = await fetch(`${base}/blobs/uploads/`, { method: 'POST' });
    const location = new URL(begun.headers.get('location') ?? '', base);
    location.searchParams.set('digest', digest);
    await put(location.href, ['-H', 'Content-Type: application/octet-stream', ...args]);
  };
  for (const { digest, file } of image.layers) await upload(digest, ['-T', file]);
  const { config } = JSON.parse(image.manifest) as { config: { digest: string } };
  await upload(config.digest, ['--data-binary', image.config]);
  await put(`${base}/manifests/1`, [
    '-H',
    `Content-Type: ${image.mediaType}`,
    '--data-binary',
    image.manifest,
  ]);
}

/** One registry for all pulls, kept as a folder; each engine gets a process of its own for it. */
class Registries {
  readonly kind: RealKind;
  #folder = '';

  constructor(kind: RealKind) {
    this.kind = kind;
  }

  async prepare(): Promise<void> {
    this.#folder = await mkdtemp('/tmp/gantry-bench-registry-');
    const seeded = await startRegistry({ kind: this.kind, address: '127.0.0.1:5999', enter: [] });
    await seed(seeded);
    await must('cp', ['-a', join(seeded.folder, 'data'), join(this.#folder, 'data')]);
    await seeded[Symbol.asyncDispose]();
  }

  /** With the image, or empty. */
  beside(engine: ImageEngine, holds: 'image' | 'nothing'): Promise<RealRegistry> {
    const enter = ['nsenter', `--net=/proc/${engine.pid}/ns/net`, '--'];
    const data = holds === 'image' ? { data: join(this.#folder, 'data') } : {};
    return startRegistry({ kind: this.kind, address: ADDRESS, enter, ...data });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}

const QUIET_MS = 500;
const QUIET_ROUNDS = 60;

/** What an engine removes after its answer must not lie in the next figure. */
async function quiet(engine: ImageEngine): Promise<void> {
  for (let round = 0; round < QUIET_ROUNDS; round++) {
    const before = await cpuMs(engine);
    await sleep(QUIET_MS);
    if ((await cpuMs(engine)) - before <= QUIET_MS / 20) return;
  }
}

const PING_EVERY_MS = 5;

/** Pings all the time, by one connection. */
function startPinging(engine: ImageEngine): { readonly result: Promise<number>; stop(): void } {
  const client = new HttpClient(engine.socket);
  const times: number[] = [];
  let isOver = false;
  const ping = async (): Promise<number> => {
    while (!isOver) {
      const began = performance.now();
      await client.request('GET', '/_ping');
      times.push(performance.now() - began);
      await sleep(PING_EVERY_MS);
    }
    client.close();
    return times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.999)] ?? Number.NaN;
  };
  return { result: ping(), stop: () => (isOver = true) };
}

async function measured(engine: ImageEngine, work: () => Promise<void>): Promise<ImageSample> {
  await quiet(engine);
  await dropCaches();
  await forgetPeaks(engine);
  const [began, before] = [performance.now(), await cpuMs(engine)];
  const trace = engine.isOneProcess ? await traceLoop(engine.pid) : null;
  const pinger = startPinging(engine);
  await work().finally(() => pinger.stop());
  const ms = performance.now() - began;
  const pingMs = await pinger.result;
  const cpu = (await cpuMs(engine)) - before;
  const stops = (await trace?.stop()) ?? null;
  return { ms, cpuMs: cpu, peakKib: await peakKib(engine), pingMs, loop: stops && figuresOf(stops) };
}

function figuresOf(stops: LoopStops): LoopFigures {
  return {
    longest: stops.longest.ms,
    p999: stops.p999Ms,
    longestWithoutQueue: stops.longestWithoutQueueMs,
    p999WithoutQueue: stops.p999WithoutQueueMs,
  };
}

async function sample(engine: ImageEngine, verb: Verb, registries: Registries): Promise<ImageSample> {
  const references = [REFERENCE, BIG_IMAGE.reference];
  if (verb === 'load' || verb === 'save') {
    for (const one of references) await remove(engine, one);
    if (verb === 'load') return measured(engine, () => load(engine));
    await load(engine);
    return measured(engine, () => save(engine, BIG_IMAGE.reference));
  }
  await using full = await registries.beside(engine, 'image');
  for (const one of references) await remove(engine, one);
  if (verb === 'pull') return await measured(engine, () => pull(engine));
  await pull(engine);
  await full[Symbol.asyncDispose]();
  await using empty = await registries.beside(engine, 'nothing');
  const taken = await measured(engine, () => push(engine));
  await empty[Symbol.asyncDispose]();
  return taken;
}

function shown({ ms, cpuMs: cpu, peakKib, pingMs, loop }: ImageSample): string {
  const ping = `ping ${pingMs.toFixed(1)} ms`;
  const parts = [`${Math.round(ms)} ms`, `${Math.round(cpu)} ms CPU`, `${peakKib >> 10} MiB peak`, ping];
  if (loop !== null) {
    const { longest, p999, longestWithoutQueue, p999WithoutQueue } = loop;
    parts.push(`loop ${p999.toFixed(1)} (longest ${longest.toFixed(1)}) ms`);
    parts.push(
      `without waits for a processor ${p999WithoutQueue.toFixed(1)} (${longestWithoutQueue.toFixed(1)})`,
    );
  }
  return parts.join(', ');
}

export interface ImageRow {
  readonly verb: Verb;
  readonly samples: Record<string, ImageSample[]>;
}

async function usedKib(path: string): Promise<number> {
  return Number((await run('du', ['-skx', path])).stdout.split('\t')[0]);
}

/** Bytes on disk that the image takes: blobs and trees. */
export async function diskKib(engine: ImageEngine): Promise<number> {
  await quiet(engine);
  const full = await usedKib(engine.dataRoot);
  for (const one of [REFERENCE, BIG_IMAGE.reference]) await remove(engine, one);
  await quiet(engine);
  return full - (await usedKib(engine.dataRoot));
}

const TAGS = 200;

/** Milliseconds of a list of 200 tags. */
export async function listTags(engine: ImageEngine, reference: string): Promise<number> {
  for (let tag = 0; tag < TAGS; tag++)
    await curl(engine, ['-X', 'POST', url(`/images/${reference}/tag?repo=tags/of${tag % 10}&tag=t${tag}`)]);
  const times: number[] = [];
  for (let i = 0; i < 20; i++) {
    const seconds = await curl(engine, ['-o', '/dev/null', '-w', '%{time_total}', url('/images/json')]);
    times.push(Number(seconds) * 1000);
  }
  for (let tag = 0; tag < TAGS; tag++) await remove(engine, `tags/of${tag % 10}:t${tag}`);
  return times.toSorted((a, b) => a - b)[times.length >> 1] ?? Number.NaN;
}

export interface ImageBench {
  readonly rows: readonly ImageRow[];
  readonly disk: Readonly<Record<string, number>>;
  readonly list: Readonly<Record<string, number>>;
}

export async function benchImages(options: {
  readonly engines: readonly ImageEngine[];
  readonly rounds: number;
  readonly kind: RealKind;
  readonly verbs: readonly Verb[];
  readonly report: (line: string) => void;
}): Promise<ImageBench> {
  const { engines, report } = options;
  await make(bigImageTarget());
  await using registries = new Registries(options.kind);
  await registries.prepare();
  const rows: ImageRow[] = [];
  for (const verb of options.verbs) {
    const samples: Record<string, ImageSample[]> = Object.fromEntries(
      engines.map(({ label }) => [label, []]),
    );
    for (let round = 0; round < options.rounds; round++) {
      for (const engine of engines) {
        const taken = await sample(engine, verb, registries);
        samples[engine.label]?.push(taken);
        report(`${verb} ${engine.label}: ${shown(taken)}`);
      }
    }
    rows.push({ verb, samples });
  }
  const disk: Record<string, number> = {};
  const list: Record<string, number> = {};
  for (const engine of engines) {
    for (const one of [REFERENCE, BIG_IMAGE.reference]) await remove(engine, one);
    await load(engine);
    list[engine.label] = await listTags(engine, BIG_IMAGE.reference);
    disk[engine.label] = await diskKib(engine);
    report(
      `${engine.label}: ${disk[engine.label]} KiB on disk, list of ${TAGS} tags ${list[engine.label]} ms`,
    );
  }
  return { rows, disk, list };
}
