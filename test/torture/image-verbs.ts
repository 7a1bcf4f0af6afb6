import { setTimeout as pause } from 'node:timers/promises';
import { startDaemon, type TestDaemon } from '../support/daemon.ts';
import { tarOf } from '../support/images.ts';
import { seeded } from './clients.ts';
import { ImageWitness, Keeper } from './image-rules.ts';
import { knownImage, type KnownImage, load, remove, sendBody } from './known-image.ts';
import type { Violation } from './rules.ts';

export interface VerbOptions {
  readonly kills: number;
  readonly seed: number;
  readonly report?: (line: string) => void;
}

export const IMAGE_VERBS = ['import', 'commit', 'save', 'rmi'] as const;
type Verb = (typeof IMAGE_VERBS)[number];

const FILES = 40;
const FILE_BYTES = 200_000;
/** Brings all data into the container's own layer. */
const REWRITE = 'cp -r /data /new && /bin/busybox rm -r /data && /bin/busybox mv /new /data';
/** A kill falls into the time that the verb took the first time, or a little later. */
const BEYOND = 1.1;

/** One image, and one verb on it that is killed. */
class Round {
  readonly #daemon: TestDaemon;
  readonly #image: KnownImage;
  readonly #number: number;
  /** What the verb makes. */
  readonly #product: string;
  readonly witness: ImageWitness;

  constructor(daemon: TestDaemon, keeper: Keeper, number: number) {
    this.#daemon = daemon;
    this.#number = number;
    this.#image = knownImage(`torture/verb${number}:v`, FILES, FILE_BYTES);
    this.#product = `torture/product${number}:v`;
    this.witness = new ImageWitness(daemon, keeper, { ...this.#image, product: this.#product });
  }

  /** Gives how long it took when nobody killed it. */
  async run(verb: Verb, delayMs: number | null): Promise<number> {
    const { witness } = this;
    if (!(await load(this.#daemon, this.#image))) witness.say('D1', 'cannot be loaded');
    await this.#prepare(verb);
    const began = performance.now();
    const promised = this.#begin(verb);
    if (delayMs === null) {
      if (!(await promised)) witness.say('D1', `${verb} fails`);
      const tookMs = performance.now() - began;
      await this.#end(verb);
      return tookMs;
    }
    await pause(delayMs);
    await this.#daemon.kill('SIGKILL');
    const isDone = await promised;
    await this.#daemon.start();
    await this.#afterKill(verb, isDone);
    await this.#end(verb);
    return delayMs;
  }

  async #afterKill(verb: Verb, isDone: boolean): Promise<void> {
    const { witness } = this;
    const isListed = await witness.afterKill({ isAcknowledged: verb !== 'rmi' });
    if (verb === 'rmi') {
      if (isDone && isListed) witness.say('S2', 'its removal was acknowledged, and it is listed');
      if (!isListed && !(await load(this.#daemon, this.#image))) witness.say('D2', 'cannot be loaded again');
    } else if (verb !== 'save') {
      const isMade = await this.#isListed(this.#product);
      if (isDone && !isMade) witness.say('D3', `${verb} was acknowledged, and its image is not listed`);
      if (isMade) await witness.isWhole('after the kill', this.#product);
    }
    if (verb === 'rmi') return witness.isWhole('after a second load');
    if (!(await this.#begin(verb))) witness.say('D2', `a second ${verb} fails`);
    if (verb !== 'save') await witness.isWhole(`after a second ${verb}`, this.#product);
  }

  async #end(verb: Verb): Promise<void> {
    if (verb === 'commit') await this.#daemon.removeAll();
    await this.witness.removeAll();
  }

  async #prepare(verb: Verb): Promise<void> {
    if (verb !== 'commit') return;
    const body = { Image: this.#image.reference, Cmd: ['/bin/busybox', 'sh', '-c', REWRITE] };
    const name = `committed${this.#number}`;
    await this.#daemon.api(`/containers/create?name=${name}`, { method: 'POST', body });
    await this.#daemon.api(`/containers/${name}/start`, { method: 'POST' });
    await this.#daemon.api(`/containers/${name}/wait`, { method: 'POST' });
  }

  /** True when it was acknowledged. */
  async #begin(verb: Verb): Promise<boolean> {
    const { reference } = this.#image;
    const [repo = '', tag = ''] = this.#product.split(':');
    if (verb === 'rmi') return (await remove(this.#daemon, reference)) === 200;
    if (verb === 'import')
      return sendBody(this.#daemon, {
        path: `/images/create?fromSrc=-&repo=${repo}&tag=${tag}`,
        body: tarOf(this.#image.tree),
      });
    const path =
      verb === 'save'
        ? `/images/${reference}/get`
        : `/commit?container=committed${this.#number}&repo=${repo}&tag=${tag}`;
    const method = verb === 'save' ? 'GET' : 'POST';
    const answer = await this.#daemon.api(path, { method }).catch(() => null);
    if (verb === 'commit' || answer === null) return answer?.status === 201;
    // An archive ends with two empty blocks.
    const isWhole =
      answer.body.length > FILES * FILE_BYTES && answer.body.subarray(-1024).every((byte) => byte === 0);
    return answer.status === 200 && isWhole;
  }

  async #isListed(reference: string): Promise<boolean> {
    return (await this.#daemon.api(`/images/${reference}/json`)).status === 200;
  }
}

/** Kills the daemon in the middle of what makes, writes and removes images, each verb in its turn. */
export async function killVerbs(options: VerbOptions): Promise<{ violations: Violation[] }> {
  const random = seeded(options.seed);
  const { report = () => undefined } = options;
  const violations: Violation[] = [];
  await using daemon = await startDaemon();
  const keeper = new Keeper(daemon);
  await keeper.prepare();
  const tookMs = new Map<Verb, number>();
  for (const [index, verb] of IMAGE_VERBS.entries())
    tookMs.set(verb, await new Round(daemon, keeper, index).run(verb, null));
  for (let kill = 0; kill < options.kills; kill++) {
    const verb = IMAGE_VERBS[kill % IMAGE_VERBS.length] ?? 'import';
    const wholeMs = tookMs.get(verb) ?? 0;
    const delayMs = random() * BEYOND * wholeMs;
    const round = new Round(daemon, keeper, IMAGE_VERBS.length + kill);
    await round.run(verb, delayMs);
    report(`${verb} ${kill + 1}, killed after ${Math.round(delayMs)} of ${Math.round(wholeMs)} ms`);
    for (const { rule, text } of round.witness.violations) report(`  ${rule}: ${text}`);
    violations.push(...round.witness.violations);
  }
  const left = await keeper.leftovers();
  report(`left in the data root: ${left.leftKib} KiB`);
  return { violations: [...violations, ...left.violations] };
}
