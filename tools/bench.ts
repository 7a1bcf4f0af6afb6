/**
 * `npm run bench [-- --vs unix:///other.sock [--vs-pid PID] --rounds N --only TEXT --out FILE]`: measures a
 * gantryd of its own and another engine in turn (A B A B) in one run, and keeps the raw numbers.
 * `npm run bench -- --images [--peer NAME,SOCKET,PID,DATA-ROOT …] [--registry gantry] [--only pull,load]`:
 * pull, load, save and push of a big image instead.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { BenchEngine } from '../test/bench/engine.ts';
import { benchImages, type ImageSample, VERBS } from '../test/bench/images.ts';
import { MEASURES, type Measure } from '../test/bench/measures.ts';
import { engineMemory, type EngineProcesses } from '../test/bench/memory.ts';
import { measureLaunchers, type LauncherSamples } from '../test/bench/launchers.ts';
import { summarize, type Summary } from '../test/bench/statistics.ts';
import { must, run } from '../test/support/command.ts';
import { startDaemon, type TestDaemon } from '../test/support/daemon.ts';

interface Row {
  readonly name: string;
  readonly unit: string;
  readonly samples: Record<string, number[]>;
}

/** A file system of busybox, as a tar archive. */
async function busyboxArchive(): Promise<Buffer> {
  const root = `/tmp/gantry-bench-${randomUUID()}`;
  await mkdir(`${root}/bin`, { recursive: true });
  await must('cp', ['/usr/bin/busybox', `${root}/bin/busybox`]);
  await must('chroot', [root, '/bin/busybox', '--install', '-s', '/bin']);
  await must('tar', ['-C', root, '-cf', `${root}.tar`, '.']);
  const archive = await readFile(`${root}.tar`);
  await rm(root, { recursive: true });
  await rm(`${root}.tar`);
  return archive;
}

/** What an engine cleans up after its answer must not lie in the other one's figure. */
const REST_MS = 30;
/** Until helpers are idle and have given back what only their start needed. */
const SETTLE_MS = 3000;

/** A rest, a sample that only warms, and the samples that count, one after the other. */
async function turn(one: Measure, engine: BenchEngine): Promise<number[]> {
  const samples: number[] = [];
  await sleep(REST_MS);
  if (one.isApart !== true) await one.sample(engine);
  for (let i = 0; i < (one.turn ?? 1); i++) {
    if (one.isApart === true) await sleep(REST_MS);
    samples.push(await one.sample(engine));
  }
  return samples;
}

async function measure(one: Measure, engines: readonly BenchEngine[], factor: number): Promise<Row> {
  const samples: Record<string, number[]> = Object.fromEntries(engines.map((engine) => [engine.label, []]));
  for (const engine of engines) await one.prepare?.(engine);
  try {
    for (const engine of engines) await turn(one, engine);
    const rounds = Math.max(2, Math.round(one.rounds * factor));
    for (let round = 0; round < rounds; round++) {
      for (const engine of engines) samples[engine.label]?.push(...(await turn(one, engine)));
    }
  } finally {
    for (const engine of engines) await one.finish?.(engine);
  }
  return { name: one.name, unit: one.unit, samples };
}

/**
 * Containers without any engine, by each launcher. In a mount namespace of its own, without the unified
 * cgroup hierarchy where there are v1 ones, too: crun refuses such a host.
 */
async function launchers(): Promise<Row[]> {
  const script = '[ -d /sys/fs/cgroup/unified ] && umount /sys/fs/cgroup/unified; exec "$0" "$@"';
  const again = [process.execPath, import.meta.filename, '--launchers'];
  const text = await must('unshare', ['--mount', 'sh', '-c', script, ...again]);
  const samples = JSON.parse(text) as LauncherSamples;
  return Object.entries(samples).map(([name, values]) => ({
    name: `without an engine: ${name}`,
    unit: 'ms',
    samples: { gantry: [...values] },
  }));
}

async function startTimes(daemon: TestDaemon): Promise<Row> {
  const samples: number[] = [];
  for (let i = 0; i < 10; i++) {
    await daemon.kill('SIGTERM');
    const start = performance.now();
    await daemon.start();
    samples.push(performance.now() - start);
  }
  return { name: 'daemon start to first ping', unit: 'ms', samples: { gantry: samples } };
}

const CONTAINERS = 10;

/** KiB of the daemon at rest and of the helpers of one idle container, without and with a published port. */
async function memoryRows(
  engines: readonly { engine: BenchEngine; processes: EngineProcesses; atRestKib: number }[],
): Promise<Row[]> {
  const rows: Row[] = ['daemon at rest', 'per idle container', 'per idle container with a port'].map(
    (name) => ({
      name: `memory, ${name}`,
      unit: 'KiB PSS',
      samples: {},
    }),
  );
  for (const { engine, processes, atRestKib } of engines) {
    // What an engine keeps for starts to come is no container's.
    const first = await engine.create({ Cmd: ['true'] });
    await engine.must('POST', `/containers/${first}/start`);
    await engine.must('POST', `/containers/${first}/wait`);
    await engine.remove(first);
    await sleep(SETTLE_MS);
    const idle = await engineMemory(processes);
    const perContainer: number[] = [];
    for (const ports of [{}, { PortBindings: { '80/tcp': [{ HostIp: '', HostPort: '' }] } }]) {
      for (let i = 0; i < CONTAINERS; i++) {
        const exposed = { ExposedPorts: { '80/tcp': {} } };
        const id = await engine.create({ Cmd: ['sleep', '3600'], ...exposed, HostConfig: ports });
        await engine.must('POST', `/containers/${id}/start`);
      }
      await sleep(SETTLE_MS);
      const busy = await engineMemory(processes);
      perContainer.push((busy.companionsKib - idle.companionsKib) / CONTAINERS);
      await engine.removeAll();
    }
    const figures = [atRestKib, ...perContainer];
    rows.forEach((row, i) => {
      row.samples[engine.label] = [figures[i] ?? Number.NaN];
    });
  }
  return rows;
}

function line(row: Row, peer: string | undefined): string {
  const ours = summarize(row.samples['gantry'] ?? []);
  const theirs: Summary | undefined =
    peer === undefined ? undefined : row.samples[peer] && summarize(row.samples[peer]);
  // One sample has neither percentile nor spread.
  const figure = (summary: Summary): string =>
    summary.count === 1
      ? `${summary.median.toFixed(1).padStart(9)} ${'1 sample'.padStart(16)}`
      : `${summary.median.toFixed(1).padStart(9)} ${summary.p95.toFixed(1).padStart(9)} ${`±${summary.spreadPercent.toFixed(0)}%`.padStart(6)}`;
  const ratio =
    theirs && (row.unit.endsWith('/s') ? ours.median / theirs.median : theirs.median / ours.median);
  const rest = theirs ? `${figure(theirs)} ${`${ratio?.toFixed(1)}x`.padStart(7)}` : '';
  return `${row.name.padEnd(52)} ${row.unit.padEnd(8)} ${figure(ours)} ${rest}`;
}

interface ImageBenchValues {
  readonly peer: readonly string[];
  readonly registry: string;
  readonly rounds: string;
  readonly only?: string | undefined;
  readonly out: string;
}

async function imageBench(values: ImageBenchValues): Promise<void> {
  // On the disk that images are meant for, not on a tmpfs.
  await using daemon = await startDaemon();
  const own = { label: 'gantry', socket: daemon.socket, pid: daemon.pid, dataRoot: daemon.dataRoot };
  const peers = values.peer.map((text) => {
    const [label = '', socket = '', pid = '', dataRoot = ''] = text.split(',');
    const isPodman = label.startsWith('podman');
    return { label, socket, pid: Number(pid), dataRoot, isOneProcess: false, isPodman };
  });
  const engines = [{ ...own, isOneProcess: true, isPodman: false }, ...peers];
  const report = (text: string): void => void process.stdout.write(`${text}\n`);
  const only = values.only?.split(',');
  const verbs = VERBS.filter((verb) => only === undefined || only.includes(verb));
  const kind = values.registry === 'gantry' ? 'gantry' : 'docker-registry';
  const rounds = Number(values.rounds);
  const result = await benchImages({ engines, rounds, kind, verbs, report });
  for (const { verb, samples } of result.rows) {
    for (const [label, taken] of Object.entries(samples)) {
      const middle = (of: (one: ImageSample) => number): string => summarize(taken.map(of)).median.toFixed(0);
      const [ms, cpu] = [middle((one) => one.ms), middle((one) => one.cpuMs)];
      const peak = middle((one) => one.peakKib / 1024);
      report(`${verb.padEnd(6)} ${label.padEnd(10)} ${ms} ms, CPU ${cpu} ms, peak ${peak} MiB`);
    }
  }
  await mkdir('dist', { recursive: true });
  await writeFile(values.out, JSON.stringify({ date: new Date().toISOString(), kind, ...result }, null, 1));
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      vs: { type: 'string' },
      'vs-pid': { type: 'string' },
      rounds: { type: 'string', default: '1' },
      only: { type: 'string' },
      out: { type: 'string', default: 'dist/bench.json' },
      launchers: { type: 'boolean', default: false },
      images: { type: 'boolean', default: false },
      peer: { type: 'string', multiple: true, default: [] },
      registry: { type: 'string', default: 'docker-registry' },
    },
  });
  if (values.launchers) return void process.stdout.write(JSON.stringify(await measureLaunchers()));
  if (values.images) return imageBench(values);
  const execRoot = `/dev/shm/gantry-bench-${randomUUID()}`;
  // As /run on most hosts: on tmpfs.
  await using daemon = await startDaemon({ execRoot });
  const ours = new BenchEngine('gantry', daemon.socket);
  const peer =
    values.vs === undefined ? undefined : new BenchEngine('peer', values.vs.replace('unix://', ''));
  const engines = peer === undefined ? [ours] : [ours, peer];
  const processes: { engine: BenchEngine; processes: EngineProcesses }[] = [
    { engine: ours, processes: { pid: daemon.pid, naming: daemon.execRoot } },
  ];
  if (peer !== undefined && values['vs-pid'] !== undefined)
    processes.push({ engine: peer, processes: { pid: Number(values['vs-pid']) } });
  // Before anything was asked of them.
  const measured = await Promise.all(
    processes.map(async (one) => ({ ...one, atRestKib: (await engineMemory(one.processes)).daemonKib })),
  );
  const archive = await busyboxArchive();
  for (const engine of engines)
    await engine.must('POST', '/images/create?fromSrc=-&repo=bench&tag=latest', archive);
  const rows: Row[] = [];
  const wants = (name: string): boolean => values.only === undefined || name.includes(values.only);
  if (wants('memory')) rows.push(...(await memoryRows(measured)));
  for (const one of MEASURES)
    if (wants(one.name)) rows.push(await measure(one, engines, Number(values.rounds)));
  if (wants('without an engine')) rows.push(...(await launchers()));
  if (wants('daemon start')) rows.push(await startTimes(daemon));
  const versions = await Promise.all(
    engines.map(async (engine) => ({
      engine: engine.label,
      version: JSON.parse(await engine.must('GET', '/version')) as unknown,
    })),
  );
  const peerVersion = (versions[1]?.version as { Version?: string } | undefined)?.Version;
  const runc = (await run('runc', ['--version'])).stdout.split('\n')[0];
  process.stdout.write(
    `${'measure'.padEnd(52)} unit         median       p95 spread${peer ? '    median       p95 spread   ratio' : ''}\n`,
  );
  for (const row of rows) process.stdout.write(`${line(row, peer?.label)}\n`);
  if (peer !== undefined && values['vs-pid'] === undefined && wants('memory'))
    process.stdout.write("memory: the other engine's rows need its process, --vs-pid\n");
  process.stdout.write(`${runc}; peer: ${peer ? JSON.stringify(peerVersion) : 'none'}\n`);
  await mkdir('dist', { recursive: true });
  await writeFile(
    values.out,
    JSON.stringify({ date: new Date().toISOString(), versions, runc, rows }, null, 1),
  );
  await ours.removeAll();
  for (const engine of engines) {
    await engine.call('DELETE', '/images/bench?force=1');
    engine.close();
  }
}

await main();
