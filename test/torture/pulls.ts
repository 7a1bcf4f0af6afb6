import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { pull } from '../support/registry/fixture.ts';
import type { BuiltStandinImage, StandinImage } from '../support/registry/content.ts';
import { type LedgerEntry, OPEN_REGISTRY } from '../support/registry/plan.ts';
import { RegistryGround, type Standin, startStandin } from '../support/registry/standin.ts';
import { startDaemon, type TestDaemon } from '../support/daemon.ts';
import { seeded } from './clients.ts';
import { listed, problemOf, remove, usedKib } from './loads.ts';
import type { Violation } from './rules.ts';

export interface PullKillOptions {
  readonly kills: number;
  readonly seed: number;
  readonly report?: (line: string) => void;
}

const HOST = '127.0.0.1:5000';
const FILE_BYTES = 6 * 1024 * 1024;
const BYTES_PER_SECOND = 6_000_000;
/**
 * What may be sent twice for each kill and each blob: a piece of the sender's, what lies in the kernel's
 * buffers, and what the receiver had not yet given to the file system.
 */
const TAIL_BYTES = 1 << 20;
const SLACK_KIB = 512;

interface Known {
  readonly image: StandinImage;
  /** What `sha256sum` of the image's file says. */
  readonly hash: string;
}

/** Two layers of bytes that no compression makes smaller, so that a kill can come in the middle of them. */
function knownImage(number: number): Known {
  const content = randomBytes(FILE_BYTES);
  const base = [
    { path: 'bin/', type: 'directory' as const },
    { path: 'bin/busybox', content: readFileSync('/bin/busybox'), mode: 0o755 },
    ...['sh', 'sha256sum'].map((name) => ({
      path: `bin/${name}`,
      type: 'symlink' as const,
      target: 'busybox',
    })),
    { path: 'other', content: randomBytes(FILE_BYTES / 2) },
  ];
  const image: StandinImage = {
    ...{ repository: `torture/pull${number}`, tags: ['v'], layers: [base, [{ path: 'data', content }]] },
    config: { Cmd: ['sha256sum', '/data'] },
  };
  return { image, hash: createHash('sha256').update(content).digest('hex') };
}

/** Bytes of a blob that were sent more often than once. */
function sentTwice(entries: readonly LedgerEntry[], digest: string, sizeBytes: number): number {
  const sent = entries
    .filter(({ url, method }) => method === 'GET' && url.includes(`/blobs/${digest}`))
    .reduce((sum, entry) => sum + entry.sentBytes, 0);
  return Math.max(0, sent - sizeBytes);
}

interface Given {
  readonly daemon: TestDaemon;
  readonly standin: Standin;
}

class Round {
  readonly #given: Given;
  readonly #reference: string;
  readonly #known: Known;
  readonly violations: Violation[] = [];

  constructor(given: Given, known: Known) {
    this.#given = given;
    this.#known = known;
    this.#reference = `${HOST}/${known.image.repository}:v`;
  }

  /** Kills as often as it says, each time in another moment of the same pull, then lets it end. */
  async run(delays: readonly number[], built: BuiltStandinImage): Promise<void> {
    const { daemon, standin } = this.#given;
    await standin.ledger({ clear: true });
    for (const delayMs of delays) {
      const promised = pull(daemon, this.#reference).catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      await daemon.kill('SIGKILL');
      const answer = await promised;
      await daemon.start();
      const names = await listed(daemon);
      const isListed = names.includes(this.#reference);
      if (answer?.error === '' && !isListed)
        this.#say('D3', 'the pull was acknowledged, and it is not listed');
      for (const name of names.filter((one) => one !== this.#reference)) this.#say('D2', `${name} is listed`);
      if (isListed) await this.#assertWhole('after the kill');
    }
    const { error } = await pull(daemon, this.#reference);
    if (error === '') await this.#assertWhole('after a second pull');
    else this.#say('D2', `a second pull fails: ${error}`);
    const { entries } = await standin.ledger();
    for (const { digest, sizeBytes } of built.layers) {
      const twice = sentTwice(entries, digest, sizeBytes);
      if (twice > TAIL_BYTES * delays.length)
        this.#say('resume', `${twice} bytes of ${sizeBytes} were sent twice`);
    }
    const status = await remove(daemon, this.#reference);
    if (status !== 200) this.#say('S7', `cannot be removed: ${status}`);
  }

  async #assertWhole(when: string): Promise<void> {
    const problem = await problemOf(this.#given.daemon, this.#reference, this.#known.hash);
    if (problem !== null) this.#say('D1', `${when}: ${problem}`);
  }

  #say(rule: string, text: string): void {
    this.violations.push({ rule, text: `${this.#reference}: ${text}` });
  }
}

async function namesBelow(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}

/** Kills the daemon in the middle of pulls: images are whole or absent, and what was fetched is kept. */
export async function killPulls(options: PullKillOptions): Promise<{ violations: Violation[] }> {
  const random = seeded(options.seed);
  const violations: Violation[] = [];
  const folder = await mkdtemp('/tmp/gantry-registry-');
  try {
    const ground = await RegistryGround.make(folder);
    await using daemon = await startDaemon();
    await using standin = await startStandin(daemon, ground, {
      ...{ hosts: { [HOST]: [OPEN_REGISTRY] }, tls: 'none' },
      faults: [{ path: '/blobs/', method: 'GET', act: { kind: 'slow', bytesPerSecond: BYTES_PER_SECOND } }],
    });
    await daemon.restart('SIGTERM');
    const empty = await usedKib(daemon.dataRoot);
    for (let kill = 0, number = 0; kill < options.kills; number++) {
      const known = knownImage(number);
      const built = await standin.content.add(known.image);
      await standin.reload();
      const delays = Array.from({ length: Math.min(2, options.kills - kill) }, () => 30 + random() * 1500);
      kill += delays.length;
      const round = new Round({ daemon, standin }, known);
      await round.run(delays, built);
      const moments = delays.map((ms) => Math.round(ms)).join(' and ');
      options.report?.(
        `pull ${number + 1}, killed after ${moments} ms: ${round.violations.length} violations`,
      );
      for (const { rule, text } of round.violations) options.report?.(`  ${rule}: ${text}`);
      violations.push(...round.violations);
    }
    await daemon.restart('SIGTERM');
    const left = (await usedKib(daemon.dataRoot)) - empty;
    const partial = await namesBelow(`${daemon.dataRoot}/content/partial`);
    if (left > SLACK_KIB) violations.push({ rule: 'R2', text: `${left} KiB are left in the data root` });
    if (partial.length > 0)
      violations.push({ rule: 'R2', text: `left in content/partial: ${partial.join(' ')}` });
    options.report?.(`left in the data root: ${left} KiB`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return { violations };
}
