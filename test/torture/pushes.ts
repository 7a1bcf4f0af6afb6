import { setTimeout as pause } from 'node:timers/promises';
import { type DaemonOptions, startDaemon, type TestDaemon } from '../support/daemon.ts';
import { pull, push } from '../support/registry/fixture.ts';
import { type RealKind, registryIsMissing, startRegistry } from '../support/registry/real.ts';
import type { WireEntry } from '../support/registry/wire-plan.ts';
import { type RegistryWire, startWire } from '../support/registry/wire.ts';
import { seeded } from './clients.ts';
import { type Fall, Falls } from './falls.ts';
import { ImageWitness, Keeper } from './image-rules.ts';
import { knownImage, type KnownImage, load, remove } from './known-image.ts';
import type { Violation } from './rules.ts';

export interface PushKillOptions {
  readonly kills: number;
  readonly seed: number;
  readonly report?: (line: string) => void;
  readonly daemon?: DaemonOptions;
}

const PORTS = { listen: 5000, upstream: 5001 };
const HOST = `127.0.0.1:${PORTS.listen}`;
const BYTES_PER_SECOND = 12_000_000;
const POLL_MS = 5;
/** Some kills come when all bytes are sent: they are not counted. */
const BEYOND = 1.08;
/** Only the image's data is so large. */
const LARGE_BYTES = 4_000_000;

/** What the registry has under a tag, by its own word. */
async function statusAt(daemon: TestDaemon, repository: string): Promise<string> {
  const accept =
    'Accept: application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json';
  const address = `http://${HOST}/v2/${repository}/manifests/v`;
  const flags = ['-s', '-o', '/dev/null', '-w', '%{http_code}', '-H', accept];
  return (await daemon.inNetwork(['curl', ...flags, address])).stdout;
}

function isUpload({ method }: WireEntry): boolean {
  return method === 'PUT' || method === 'PATCH';
}

function largeUpload(entries: readonly WireEntry[]): WireEntry | undefined {
  return entries.find((entry) => isUpload(entry) && entry.bodyBytes >= LARGE_BYTES);
}

/** Blobs whose upload the registry has acknowledged. */
export function acknowledgedBlobs(entries: readonly WireEntry[]): string[] {
  return entries
    .filter(({ method, status }) => method === 'PUT' && status === 201)
    .flatMap(({ url }) => /[?&]digest=([^&]+)/.exec(url)?.[1] ?? []);
}

/** What an interrupted push had brought whole is not sent by the next one. */
export function sentAgain(before: readonly WireEntry[], after: readonly WireEntry[]): string[] {
  const there = new Set(acknowledgedBlobs(before));
  return acknowledgedBlobs(after).filter((digest) => there.has(digest));
}

interface Ground {
  readonly daemon: TestDaemon;
  readonly keeper: Keeper;
  readonly wire: RegistryWire;
}

class Round {
  readonly #ground: Ground;
  readonly #image: KnownImage;
  readonly #repository: string;
  readonly #target: string;
  readonly witness: ImageWitness;

  constructor(ground: Ground, image: KnownImage, number: number) {
    this.#ground = ground;
    this.#image = image;
    this.#repository = `torture/push${number}`;
    this.#target = `${HOST}/${this.#repository}:v`;
    const about = { reference: this.#target, hash: image.hash };
    this.witness = new ImageWitness(ground.daemon, ground.keeper, about);
  }

  async run(fraction: number): Promise<Fall> {
    const { daemon, wire } = this.#ground;
    const { witness } = this;
    if (!(await load(daemon, this.#image))) witness.say('D1', 'cannot be loaded');
    await this.#tag(this.#image.reference, `${HOST}/${this.#repository}`);
    await remove(daemon, this.#image.reference);
    await wire.ledger({ clear: true });
    const { isAcknowledged, fall } = await this.#killAt(fraction);
    const before = await wire.ledger({ clear: true });
    await daemon.start();
    const isThere = (await statusAt(daemon, this.#repository)) === '200';
    if (isAcknowledged && !isThere) witness.say('D3', 'it was acknowledged, and the registry has nothing');
    if (!(await witness.afterKill({ isAcknowledged: true }))) witness.say('D1', 'a push took the image away');
    const again = await push(daemon, this.#target);
    if (again.error !== '') witness.say('D2', `a second push fails: ${again.error}`);
    for (const digest of sentAgain(before, await wire.ledger()))
      witness.say('resume', `${digest} was there, and is sent again`);
    await remove(daemon, this.#target);
    const back = await pull(daemon, this.#target);
    if (back.error === '') await witness.isWhole('after it came back');
    else witness.say('D1', `it does not come back: ${back.error}`);
    await witness.removeAll();
    return fall;
  }

  async #killAt(fraction: number): Promise<{ readonly isAcknowledged: boolean; readonly fall: Fall }> {
    const { daemon, wire } = this.#ground;
    let isOver = false;
    const promised = push(daemon, this.#target)
      .catch(() => undefined)
      .finally(() => (isOver = true));
    const reached = async (): Promise<boolean> => {
      const upload = largeUpload(await wire.ledger());
      return upload !== undefined && upload.sentBytes >= upload.bodyBytes * Math.min(1, fraction);
    };
    while (!isOver && !(await reached())) await pause(POLL_MS);
    if (fraction > 1) await pause((fraction - 1) * 2000);
    await daemon.kill('SIGKILL');
    const answer = await promised;
    const isAcknowledged = answer?.error === '' && answer.lines.some(({ aux }) => aux !== undefined);
    const { sentBytes = 0, bodyBytes = 0 } = largeUpload(await wire.ledger()) ?? {};
    const isWithin = sentBytes > 0 && sentBytes < bodyBytes;
    const where = `${sentBytes} of ${bodyBytes} bytes uploaded`;
    return { isAcknowledged, fall: { fraction: isWithin ? sentBytes / bodyBytes : null, where } };
  }

  async #tag(from: string, repository: string): Promise<void> {
    const path = `/images/${from}/tag?repo=${encodeURIComponent(repository)}&tag=v`;
    const { status } = await this.#ground.daemon.api(path, { method: 'POST' });
    if (status !== 201) this.witness.say('D1', `cannot be tagged: ${status}`);
  }
}

/** Kills the daemon in the middle of pushes: here nothing is lost, there is the whole image or none. */
export async function killPushes(options: PushKillOptions): Promise<{ violations: Violation[] }> {
  const random = seeded(options.seed);
  const violations: Violation[] = [];
  const kinds = (['gantry', 'docker-registry'] as const).filter((kind) => registryIsMissing(kind) === false);
  for (const [turn, kind] of kinds.entries()) {
    const kills = Math.ceil((options.kills - turn) / kinds.length);
    violations.push(...(await killAt(kind, { ...options, kills, random })));
  }
  return { violations };
}

/** Under another name, which is taken away again. */
async function pushKeeper(daemon: TestDaemon, { reference }: KnownImage): Promise<void> {
  const repository = `${HOST}/torture/keeper`;
  const path = `/images/${reference}/tag?repo=${encodeURIComponent(repository)}&tag=v`;
  await daemon.api(path, { method: 'POST' });
  const { error } = await push(daemon, `${repository}:v`);
  if (error !== '') throw new Error(`the keeper cannot be pushed: ${error}`);
  await remove(daemon, `${repository}:v`);
}

async function killAt(
  kind: RealKind,
  options: PushKillOptions & { readonly random: () => number },
): Promise<Violation[]> {
  const { report = () => undefined, random } = options;
  const violations: Violation[] = [];
  await using daemon = await startDaemon(options.daemon);
  const enter = ['nsenter', `--net=/run/netns/${daemon.network}`, '--'];
  await using registry = await startRegistry({ kind, address: `127.0.0.1:${PORTS.upstream}`, enter });
  await using wire = await startWire(daemon, { ...PORTS, bytesPerSecond: BYTES_PER_SECOND });
  const keeper = new Keeper(daemon);
  // The layer that all share is compressed once, and kept so.
  await keeper.prepare(() => pushKeeper(daemon, keeper.image));
  const falls = new Falls(options.kills, `an upload to ${kind}`);
  for (let number = 0; falls.goesOn; number++) {
    const image = knownImage(`torture/pushed${number}:v`, 12, 500_000);
    const round = new Round({ daemon, keeper, wire }, image, number);
    const fall = await round.run(random() * BEYOND);
    falls.add(fall);
    const note = fall.fraction === null ? ': not counted' : '';
    report(`push ${number + 1} to ${kind} at ${registry.address}, killed with ${fall.where}${note}`);
    for (const { rule, text } of round.witness.violations) report(`  ${rule}: ${text}`);
    violations.push(...round.witness.violations);
  }
  for (const line of falls.lines()) report(line);
  const left = await keeper.leftovers();
  report(`left in the data root: ${left.leftKib} KiB`);
  return [...violations, ...falls.violations(), ...left.violations];
}
