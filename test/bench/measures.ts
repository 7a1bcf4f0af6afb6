import type { BenchEngine } from './engine.ts';
import { firstInstruction, loadFirst, removeFirst } from './first-instruction.ts';

/** One measure: `sample` gives what `unit` says and leaves nothing behind. */
export interface Measure {
  readonly name: string;
  readonly unit: 'ms' | 'MB/s' | '/s';
  /** How often the engines take turns. */
  readonly rounds: number;
  /** Samples of a turn, one right after the other; default 1. */
  readonly turn?: number;
  /** The engine rests before each sample, as one that is asked now and then. */
  readonly isApart?: boolean;
  readonly prepare?: (engine: BenchEngine) => Promise<void>;
  readonly sample: (engine: BenchEngine) => Promise<number>;
  readonly finish?: (engine: BenchEngine) => Promise<void>;
}

async function timed(task: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await task();
  return performance.now() - start;
}

/** The calls of `docker run --rm IMG true` without the command line: create, wait for removal, start. */
async function runByApi(engine: BenchEngine): Promise<void> {
  const id = await engine.create({ Cmd: ['true'], HostConfig: { AutoRemove: true } });
  const removed = engine.must('POST', `/containers/${id}/wait?condition=removed`);
  await engine.must('POST', `/containers/${id}/start`);
  await removed;
}

async function execByApi(engine: BenchEngine, container: string): Promise<void> {
  const text = await engine.must('POST', `/containers/${container}/exec`, {
    Cmd: ['true'],
    AttachStdout: true,
  });
  const { Id } = JSON.parse(text) as { Id: string };
  await engine.must('POST', `/exec/${Id}/start`, { Detach: false, Tty: false });
}

/** MB/s of container output that arrives in the log, by a writer with `blockBytes` per write. */
async function logThroughput(engine: BenchEngine, blockBytes: number, megabytes: number): Promise<number> {
  const count = Math.floor((megabytes * 1e6) / blockBytes);
  const script = `yes ${'x'.repeat(98)} | dd of=/dev/stdout bs=${blockBytes} count=${count} iflag=fullblock 2>/dev/null`;
  const id = await engine.create({ Cmd: ['sh', '-c', script] });
  try {
    const ended = engine.must('POST', `/containers/${id}/wait?condition=next-exit`);
    const ms = await timed(async () => {
      await engine.must('POST', `/containers/${id}/start`);
      await ended;
    });
    return (count * blockBytes) / 1e6 / (ms / 1000);
  } finally {
    await engine.remove(id);
  }
}

/** How many runs a second, with so many clients that each start the next when one is over. */
async function lifecycleRate(engine: BenchEngine, workers: number, runs: number): Promise<number> {
  let left = runs;
  const work = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await runByApi(engine);
    }
  };
  const ms = await timed(async () => void (await Promise.all(Array.from({ length: workers }, work))));
  return runs / (ms / 1000);
}

const first = { prepare: loadFirst, sample: firstInstruction, finish: removeFirst };

const IDLE = 'bench-idle';
const idle = {
  prepare: async (engine: BenchEngine): Promise<void> => {
    await engine.must('POST', `/containers/create?name=${IDLE}`, { Image: 'bench', Cmd: ['sleep', '3600'] });
    await engine.must('POST', `/containers/${IDLE}/start`);
  },
  finish: (engine: BenchEngine): Promise<void> => engine.remove(IDLE),
};

async function startAndStop(engine: BenchEngine): Promise<number> {
  const id = await engine.create({ Cmd: ['sleep', '3600'] });
  const ms = await timed(async () => {
    await engine.must('POST', `/containers/${id}/start`);
    await engine.must('POST', `/containers/${id}/stop?signal=SIGKILL`);
  });
  await engine.remove(id);
  return ms;
}

const hundred = async (engine: BenchEngine): Promise<void> => {
  for (let i = 0; i < 100; i++) await engine.create({ Cmd: ['true'] });
};

export const MEASURES: readonly Measure[] = [
  {
    name: 'run --rm true, API',
    unit: 'ms',
    rounds: 8,
    turn: 5,
    sample: (engine) => timed(() => runByApi(engine)),
  },
  {
    name: 'run --rm true, API, 30 ms apart',
    unit: 'ms',
    rounds: 8,
    turn: 3,
    isApart: true,
    sample: (engine) => timed(() => runByApi(engine)),
  },
  {
    name: 'run --rm true, docker CLI',
    unit: 'ms',
    rounds: 6,
    turn: 3,
    sample: (engine) => timed(async () => void (await engine.docker(['run', '--rm', 'bench', 'true']))),
  },
  {
    name: 'exec true, API',
    unit: 'ms',
    rounds: 8,
    turn: 5,
    ...idle,
    sample: (engine) => timed(() => execByApi(engine, IDLE)),
  },
  {
    name: 'exec true, API, 30 ms apart',
    unit: 'ms',
    rounds: 8,
    turn: 3,
    isApart: true,
    ...idle,
    sample: (engine) => timed(() => execByApi(engine, IDLE)),
  },
  {
    name: 'exec true, docker CLI',
    unit: 'ms',
    rounds: 6,
    turn: 3,
    ...idle,
    sample: (engine) => timed(async () => void (await engine.docker(['exec', IDLE, 'true']))),
  },
  {
    name: 'start asked to first instruction',
    unit: 'ms',
    rounds: 8,
    turn: 5,
    ...first,
  },
  {
    name: 'start asked to first instruction, 30 ms apart',
    unit: 'ms',
    rounds: 8,
    turn: 3,
    isApart: true,
    ...first,
  },
  { name: 'start + stop, API', unit: 'ms', rounds: 6, turn: 2, sample: startAndStop },
  {
    name: '20 runs in parallel, API',
    unit: 'ms',
    rounds: 5,
    sample: (engine) =>
      timed(async () => void (await Promise.all(Array.from({ length: 20 }, () => runByApi(engine))))),
  },
  {
    name: 'runs with 8 clients, API',
    unit: '/s',
    rounds: 5,
    sample: (engine) => lifecycleRate(engine, 8, 40),
  },
  {
    name: 'log, 64 KiB writes',
    unit: 'MB/s',
    rounds: 3,
    sample: (engine) => logThroughput(engine, 65_536, 200),
  },
  {
    name: 'log, 100 byte writes',
    unit: 'MB/s',
    rounds: 3,
    sample: (engine) => logThroughput(engine, 100, 20),
  },
  {
    name: 'list of 100 containers',
    unit: 'ms',
    rounds: 20,
    prepare: hundred,
    sample: (engine) => timed(async () => void (await engine.must('GET', '/containers/json?all=1'))),
    finish: (engine) => engine.removeAll(),
  },
];
