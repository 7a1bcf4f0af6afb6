import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type DaemonOptions, startDaemon, type TestDaemon } from '../support/daemon.ts';
import { seeded } from './clients.ts';
import { type Fall, Falls } from './falls.ts';
import { ImageWitness, Keeper } from './image-rules.ts';
import { knownImage, type KnownImage, load } from './known-image.ts';
import type { Violation } from './rules.ts';

export interface LoadOptions {
  readonly kills: number;
  readonly seed: number;
  readonly report?: (line: string) => void;
  readonly daemon?: DaemonOptions;
}

const FILES = 300;
const FILE_BYTES = 40_000;
const BYTES_PER_SECOND = 16_000_000;
const POLL_MS = 3;
/** Some kills come when all files are there: in the image's registration. They are not counted. */
const BEYOND = 1.1;

/** How many files of /data are in the trees of layers, staged ones among them. */
export async function unpackedFiles(daemon: TestDaemon): Promise<number> {
  const layers = join(daemon.dataRoot, 'overlay2');
  let count = 0;
  for (const name of await readdir(layers).catch(() => []))
    count += (await readdir(join(layers, name, 'diff/data')).catch(() => [])).length;
  return count;
}

interface Ground {
  readonly daemon: TestDaemon;
  readonly keeper: Keeper;
  /** Files in the trees when nothing is loaded but the keeper. */
  readonly baseFiles: number;
}

class Round {
  readonly #ground: Ground;
  readonly #image: KnownImage;
  readonly witness: ImageWitness;

  constructor(ground: Ground, image: KnownImage) {
    this.#ground = ground;
    this.#image = image;
    this.witness = new ImageWitness(ground.daemon, ground.keeper, image);
  }

  /** Loads, and kills when so many of the files are unpacked; then loads again. */
  async run(fraction: number): Promise<Fall> {
    const { daemon, baseFiles } = this.#ground;
    let isOver = false;
    const promised = load(daemon, this.#image, { bytesPerSecond: BYTES_PER_SECOND }).finally(
      () => (isOver = true),
    );
    const wanted = baseFiles + FILES * Math.min(1, fraction);
    while (!isOver && (await unpackedFiles(daemon)) < wanted) await pause(POLL_MS);
    if (fraction > 1) await pause((fraction - 1) * 2000);
    await daemon.kill('SIGKILL');
    const isAcknowledged = await promised;
    const unpacked = (await unpackedFiles(daemon)) - baseFiles;
    await daemon.start();
    await this.witness.afterKill({ isAcknowledged });
    if (!(await load(daemon, this.#image))) this.witness.say('D2', 'a second load fails');
    await this.witness.isWhole('after a second load');
    await this.witness.removeAll();
    const isWithin = unpacked > 0 && unpacked < FILES;
    return { fraction: isWithin ? unpacked / FILES : null, where: `${unpacked} of ${FILES} files unpacked` };
  }
}

/** Kills the daemon in the middle of loads: images are whole or absent, nothing half stays. */
export async function killLoads(options: LoadOptions): Promise<{ violations: Violation[] }> {
  const random = seeded(options.seed);
  const { report = () => undefined } = options;
  const violations: Violation[] = [];
  await using daemon = await startDaemon(options.daemon);
  const keeper = new Keeper(daemon);
  await keeper.prepare();
  const ground = { daemon, keeper, baseFiles: await unpackedFiles(daemon) };
  const falls = new Falls(options.kills, 'the unpacking of a layer');
  for (let number = 0; falls.goesOn; number++) {
    const round = new Round(ground, knownImage(`torture/load${number}:latest`, FILES, FILE_BYTES));
    const fall = await round.run(random() * BEYOND);
    falls.add(fall);
    report(`load ${number + 1}, killed with ${fall.where}${fall.fraction === null ? ': not counted' : ''}`);
    for (const { rule, text } of round.witness.violations) report(`  ${rule}: ${text}`);
    violations.push(...round.witness.violations);
  }
  for (const line of falls.lines()) report(line);
  const left = await keeper.leftovers();
  report(`left in the data root: ${left.leftKib} KiB`);
  return { violations: [...violations, ...falls.violations(), ...left.violations] };
}
