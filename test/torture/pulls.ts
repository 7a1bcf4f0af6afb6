import { mkdtemp, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type DaemonOptions, startDaemon, type TestDaemon } from '../support/daemon.ts';
import { pull } from '../support/registry/fixture.ts';
import type { BuiltLayer, StandinImage } from '../support/registry/content.ts';
import { type LedgerEntry, OPEN_REGISTRY } from '../support/registry/plan.ts';
import { RegistryGround, type Standin, startStandin } from '../support/registry/standin.ts';
import { seeded } from './clients.ts';
import { type Fall, Falls } from './falls.ts';
import { ImageWitness, Keeper } from './image-rules.ts';
import { dataLayer, sharedLayer } from './known-image.ts';
import { type PullPhase, resumed } from './resume.ts';
import type { Violation } from './rules.ts';

export interface PullKillOptions {
  readonly kills: number;
  readonly seed: number;
  readonly report?: (line: string) => void;
  /** Another daemon under test: the checker's sabotage. */
  readonly daemon?: DaemonOptions;
}

const HOST = '127.0.0.1:5000';
const BYTES_PER_SECOND = 6_000_000;
const POLL_MS = 3;
/** Some kills come after the last byte: they are not counted, and break no rule either. */
const BEYOND = 1.08;
const COMPRESSIONS = ['gzip', 'zstd', 'none'] as const;

interface Known {
  readonly image: StandinImage;
  readonly hash: string;
}

/** A layer that the keeper has, too, a small one and a larger one. */
function imageOf(number: number): Known {
  const { entries, hash } = dataLayer(12, 400_000);
  const other = dataLayer(4, 400_000).entries.map((entry) => ({ ...entry, path: `other-${entry.path}` }));
  const compression = COMPRESSIONS[number % COMPRESSIONS.length] ?? 'gzip';
  const layers = [sharedLayer(), other, entries];
  return {
    image: {
      repository: `torture/pull${number}`,
      tags: ['v'],
      layers,
      compression,
      config: { Cmd: ['true'] },
    },
    hash,
  };
}

/** What is on the disk of each layer. */
async function onDisk(daemon: TestDaemon, layers: readonly BuiltLayer[]): Promise<Map<string, number>> {
  const have = new Map<string, number>();
  for (const { digest } of layers) {
    const hex = digest.slice('sha256:'.length);
    for (const path of [`content/partial/${hex}`, `content/blobs/sha256/${hex}`]) {
      const facts = await stat(join(daemon.dataRoot, path)).catch(() => null);
      if (facts !== null) have.set(digest, facts.size);
    }
  }
  return have;
}

function sum(amounts: Iterable<number>): number {
  return [...amounts].reduce((total, amount) => total + amount, 0);
}

function fallOf(layers: readonly BuiltLayer[], had: ReadonlyMap<string, number>): Fall {
  const total = sum(layers.map(({ sizeBytes }) => sizeBytes));
  const isWithin = layers.some(({ digest, sizeBytes }) => {
    const have = had.get(digest) ?? 0;
    return have > 0 && have < sizeBytes;
  });
  const have = sum(had.values());
  const where = `${have} of ${total} bytes of ${layers.length} layers on the disk`;
  return { fraction: isWithin ? have / total : null, where };
}

class Round {
  readonly #daemon: TestDaemon;
  readonly #standin: Standin;
  readonly #reference: string;
  /** Those that are fetched; the shared one is here. */
  readonly #layers: readonly BuiltLayer[];
  readonly #phases: PullPhase[] = [];
  /** What the last kill left on the disk. */
  #had: ReadonlyMap<string, number> = new Map();
  readonly witness: ImageWitness;

  constructor(given: Ground, layers: readonly BuiltLayer[], known: Known) {
    this.#daemon = given.daemon;
    this.#standin = given.standin;
    this.#layers = layers;
    this.#reference = `${HOST}/${known.image.repository}:v`;
    const about = { reference: this.#reference, hash: known.hash };
    this.witness = new ImageWitness(given.daemon, given.keeper, about);
  }

  /** Pulls, and kills when so much of the whole is on the disk. */
  async killAt(fraction: number): Promise<Fall> {
    await this.#standin.ledger({ clear: true });
    const total = sum(this.#layers.map(({ sizeBytes }) => sizeBytes));
    let isOver = false;
    const promised = pull(this.#daemon, this.#reference)
      .catch(() => undefined)
      .finally(() => (isOver = true));
    const reached = async (): Promise<boolean> =>
      sum((await onDisk(this.#daemon, this.#layers)).values()) >= total * Math.min(1, fraction);
    while (!isOver && !(await reached())) await pause(POLL_MS);
    if (fraction > 1) await pause((fraction - 1) * 4000);
    await this.#daemon.kill('SIGKILL');
    const answer = await promised;
    await this.#endPhase();
    this.#had = await onDisk(this.#daemon, this.#layers);
    const fall = fallOf(this.#layers, this.#had);
    await this.#daemon.start();
    await this.witness.afterKill({ isAcknowledged: answer?.error === '' });
    return fall;
  }

  /** A last pull, which nobody disturbs. Gives the most that was sent twice. */
  async end(): Promise<number> {
    await this.#standin.ledger({ clear: true });
    const { error } = await pull(this.#daemon, this.#reference);
    if (error !== '') this.witness.say('D2', `a further pull fails: ${error}`);
    else await this.witness.isWhole('after a further pull');
    await this.#endPhase();
    const sizes = new Map(this.#layers.map(({ digest, sizeBytes }) => [digest, sizeBytes]));
    const { violations, mostAgain } = resumed(this.#phases, sizes);
    for (const { rule, text } of violations) this.witness.say(rule, text);
    await this.witness.removeAll();
    return mostAgain;
  }

  async #endPhase(): Promise<void> {
    const { entries } = await this.#standin.ledger();
    this.#phases.push({ had: this.#had, gets: entries.flatMap(getOf) });
  }
}

function getOf({ method, url, offset, sentBytes }: LedgerEntry): PullPhase['gets'] {
  const digest = /\/blobs\/(sha256:[0-9a-f]{64})$/.exec(url)?.[1];
  return method === 'GET' && digest !== undefined ? [{ digest, offset, sentBytes }] : [];
}

interface Ground {
  readonly daemon: TestDaemon;
  readonly standin: Standin;
  readonly keeper: Keeper;
}

async function killAll(ground: Ground, options: PullKillOptions): Promise<Violation[]> {
  const random = seeded(options.seed);
  const { report = () => undefined } = options;
  const { standin, keeper } = ground;
  const violations: Violation[] = [];
  const falls = new Falls(options.kills, 'the download of a layer');
  let mostAgain = 0;
  for (let number = 0; falls.goesOn; number++) {
    const known = imageOf(number);
    const built = await standin.content.add(known.image);
    await standin.reload();
    const round = new Round(ground, built.layers.slice(1), known);
    const first = random();
    const moments = [first * BEYOND, (first + (1 - first) * random()) * BEYOND];
    for (const moment of moments) {
      if (!falls.goesOn) break;
      const fall = await round.killAt(moment);
      falls.add(fall);
      report(`pull ${number + 1}, killed with ${fall.where}${fall.fraction === null ? ': not counted' : ''}`);
    }
    mostAgain = Math.max(mostAgain, await round.end());
    for (const { rule, text } of round.witness.violations) report(`  ${rule}: ${text}`);
    violations.push(...round.witness.violations);
  }
  for (const line of falls.lines()) report(line);
  report(`at most ${mostAgain} bytes of a layer were sent twice after a kill`);
  const left = await keeper.leftovers();
  report(`left in the data root: ${left.leftKib} KiB`);
  return [...violations, ...falls.violations(), ...left.violations];
}

/** Kills the daemon in the middle of pulls: images are whole or absent, and what was fetched is kept. */
export async function killPulls(options: PullKillOptions): Promise<{ violations: Violation[] }> {
  const folder = await mkdtemp('/tmp/gantry-registry-');
  try {
    const registry = await RegistryGround.make(folder);
    await using daemon = await startDaemon(options.daemon);
    await using standin = await startStandin(daemon, registry, {
      ...{ hosts: { [HOST]: [OPEN_REGISTRY] }, tls: 'none' },
      faults: [{ path: '/blobs/', method: 'GET', act: { kind: 'slow', bytesPerSecond: BYTES_PER_SECOND } }],
    });
    const keeper = new Keeper(daemon);
    await keeper.prepare();
    return { violations: await killAll({ daemon, standin, keeper }, options) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
