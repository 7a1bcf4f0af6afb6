/**
 * `npm run torture [-- --kills N --points N --lifecycles N --loads N --pulls N --pushes N --verbs N
 * --gigabytes N --fuzz N --seed S]`: the long versions of what `npm test` shows in short. A part that is asked for by name
 * runs alone; without any, all of them run, in a quarter of an hour or so. Dates and results stand in
 * docs/RELIABILITY.md.
 */
import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { parseArgs, stripVTControlCharacters } from 'node:util';
import { busyboxArchive } from '../test/support/images.ts';
import { fillDisk } from '../test/torture/disk-full.ts';
import { killRepeatedly } from '../test/torture/kills.ts';
import { runLifecycles } from '../test/torture/lifecycles.ts';
import { killVerbs } from '../test/torture/image-verbs.ts';
import { killLoads } from '../test/torture/loads.ts';
import { killUnderLogs } from '../test/torture/log-kills.ts';
import { sweepPoints } from '../test/torture/points.ts';
import { killPulls } from '../test/torture/pulls.ts';
import { killPushes } from '../test/torture/pushes.ts';
import type { Violation } from '../test/torture/rules.ts';
import { streamGigabytes } from '../test/torture/streams.ts';
import { filesBelow } from './build-steps/target.ts';
import { ROOT } from './paths.ts';

const DEFAULTS = {
  kills: 50,
  points: 80,
  lifecycles: 1000,
  loads: 50,
  pulls: 50,
  pushes: 50,
  verbs: 20,
  gigabytes: 1,
  fuzz: 3000,
};
type Part = keyof typeof DEFAULTS;
const PARTS = Object.keys(DEFAULTS) as Part[];
const LOG_KILLS = 10;

const { values } = parseArgs({
  options: {
    ...Object.fromEntries(PARTS.map((part) => [part, { type: 'string' as const }])),
    seed: { type: 'string' },
  },
});
const given = new Map(Object.entries(values).map(([key, value]) => [key, Number(value)]));
for (const [key, value] of given) if (!(value >= 0)) throw new Error(`--${key} takes a number`);
const seed = given.get('seed') ?? randomInt(1 << 30);
const isWhole = PARTS.every((part) => !given.has(part));

function amount(part: Part): number {
  return given.get(part) ?? (isWhole ? DEFAULTS[part] : 0);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Fuzzers are test files; their number of rounds and their seed come by the environment. */
function runFuzzers(rounds: number): Violation[] {
  const files = filesBelow(join(ROOT, 'test/fuzz'), /\.test\.ts$/);
  const env = { ...process.env, GANTRY_FUZZ_ROUNDS: String(rounds), GANTRY_FUZZ_SEED: String(seed) };
  const result = spawnSync(process.execPath, ['--test', '--test-concurrency=1', ...files], {
    env,
    encoding: 'utf8',
  });
  const output = stripVTControlCharacters(result.stdout);
  const count = (word: string): string => new RegExp(`^\\W*${word} (\\d+)`, 'm').exec(output)?.[1] ?? '?';
  print(`${count('pass')} fuzzing tests passed, ${count('fail')} failed`);
  return result.status === 0 ? [] : [{ rule: 'fuzz', text: output.slice(-6000) }];
}

interface Outcome {
  readonly violations: readonly Violation[];
  readonly text: string;
}

const { archive, reference: image } = await busyboxArchive();
const report = print;

const RUNS: Readonly<Record<Part, (count: number) => Promise<Outcome>>> = {
  async kills(kills) {
    const result = await killRepeatedly({ kills, archive, image, seed, report });
    return {
      ...result,
      text: `${kills} kills under four clients, ${result.acknowledged} acknowledged operations`,
    };
  },
  async points(points) {
    const { violations, hits, calls } = await sweepPoints({ points, archive, image, seed, report });
    const logs = await killUnderLogs({ kills: LOG_KILLS, archive, image, report });
    const disk = await fillDisk({ archive, image });
    const text = `${points} kill points among ${calls} system calls, ${hits} of them reached; ${LOG_KILLS} kills under a log of ${logs.lines} lines; a full disk`;
    return { violations: [...violations, ...logs.violations, ...disk.violations], text };
  },
  async lifecycles(lifecycles) {
    const { violations } = await runLifecycles({ lifecycles, archive, image, seed, report });
    return { violations, text: `${lifecycles} lifecycles in random order by eight workers` };
  },
  async loads(kills) {
    const { violations } = await killLoads({ kills, seed, report });
    return { violations, text: `${kills} kills within the unpacking of a load` };
  },
  async pulls(kills) {
    const { violations } = await killPulls({ kills, seed, report });
    return { violations, text: `${kills} kills within the download of a layer` };
  },
  async pushes(kills) {
    const { violations } = await killPushes({ kills, seed, report });
    return { violations, text: `${kills} kills within an upload` };
  },
  async verbs(kills) {
    const { violations } = await killVerbs({ kills, seed, report });
    return { violations, text: `${kills} kills in the middle of import, commit, save and rmi` };
  },
  async gigabytes(gigabytes) {
    const { violations } = await streamGigabytes({ gigabytes, archive, image, report });
    return { violations, text: `${gigabytes} GB each through attach, logs, rotation, stdin and load` };
  },
  fuzz: (rounds) =>
    Promise.resolve({ violations: runFuzzers(rounds), text: `fuzzing with ${rounds} rounds per fast test` }),
};

print(`seed ${seed}`);
const summary: string[] = [];
for (const part of PARTS) {
  const count = amount(part);
  if (count === 0) continue;
  print(`\n=== ${part}`);
  const started = performance.now();
  const { violations, text } = await RUNS[part](count);
  for (const violation of violations) print(`${violation.rule}: ${violation.text}`);
  const seconds = Math.round((performance.now() - started) / 1000);
  summary.push(`${text}: ${violations.length} violations, ${seconds} s`);
  print(summary.at(-1) ?? '');
  if (violations.length > 0) process.exitCode = 1;
}
print(
  `\n${new Date().toISOString().slice(0, 10)}, seed ${seed}\n${summary.map((line) => `- ${line}`).join('\n')}`,
);
