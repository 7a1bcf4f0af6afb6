import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestDaemon } from '../support/daemon.ts';
import {
  knownImage,
  listed,
  listedIds,
  load,
  problemOf,
  remove,
  usedKib,
  type KnownImage,
} from './known-image.ts';
import type { Violation } from './rules.ts';

/* What holds of images whatever was killed: asked after every kill, and once more when all is removed. */

/** What an empty engine's data root may differ by: records, logs, the kept instance. */
const SLACK_KIB = 512;

/** An image that shares its lowest layer with all others, and that nobody touches: D5 is about it. */
export class Keeper {
  readonly image: KnownImage = knownImage('torture/keeper:v', 4, 50_000);
  readonly #daemon: TestDaemon;
  #usedKib = 0;

  constructor(daemon: TestDaemon) {
    this.#daemon = daemon;
  }

  /** `use` leaves behind what it leaves in the data root for as long as the keeper is there. */
  async prepare(use: () => Promise<void> = () => Promise.resolve()): Promise<void> {
    if (!(await load(this.#daemon, this.image))) throw new Error('the keeper cannot be loaded');
    await use();
    await this.#daemon.restart('SIGTERM');
    this.#usedKib = await usedKib(this.#daemon.dataRoot);
  }

  /** R2, when everything else was removed. */
  async leftovers(): Promise<{ readonly violations: Violation[]; readonly leftKib: number }> {
    await this.#daemon.restart('SIGTERM');
    const violations: Violation[] = [];
    const leftKib = (await usedKib(this.#daemon.dataRoot)) - this.#usedKib;
    if (leftKib > SLACK_KIB)
      violations.push({ rule: 'R2', text: `${leftKib} KiB are left in the data root` });
    for (const path of ['content/partial', 'content/ingest', 'pulls']) {
      const names = await readdir(join(this.#daemon.dataRoot, path)).catch(() => []);
      if (names.length > 0) violations.push({ rule: 'R2', text: `left in ${path}: ${names.join(' ')}` });
    }
    return { violations, leftKib };
  }
}

interface About {
  readonly reference: string;
  readonly hash: string;
  /** Another name of an image with the same files, that may be there. */
  readonly product?: string;
}

/** The rules about one image while others are there. */
export class ImageWitness {
  readonly violations: Violation[] = [];
  readonly #daemon: TestDaemon;
  readonly #keeper: Keeper;
  readonly #about: About;

  constructor(daemon: TestDaemon, keeper: Keeper, about: About) {
    this.#daemon = daemon;
    this.#keeper = keeper;
    this.#about = about;
  }

  say(rule: string, text: string): void {
    this.violations.push({ rule, text: `${this.#about.reference}: ${text}` });
  }

  async isWhole(when: string, reference = this.#about.reference): Promise<void> {
    const problem = await problemOf(this.#daemon, reference, this.#about.hash);
    if (problem !== null) this.say('D1', `${reference} ${when}: ${problem}`);
  }

  /**
   * After a kill and a start. True when the image is listed by its name. An image is made durable and named
   * afterwards: between the two a kill leaves one without a name, which is whole, too.
   */
  async afterKill(of: { readonly isAcknowledged: boolean }): Promise<boolean> {
    const { reference } = this.#about;
    const names = await listed(this.#daemon);
    const isListed = names.includes(reference);
    if (of.isAcknowledged && !isListed) this.say('D3', 'it was acknowledged, and it is not listed');
    const { image } = this.#keeper;
    const known = [reference, image.reference, this.#about.product];
    for (const name of names.filter((one) => !known.includes(one)))
      if (name.startsWith('sha256:')) await this.isWhole('after the kill', name);
      else this.say('D2', `${name} is listed, nobody gave it that name`);
    if (isListed) await this.isWhole('after the kill');
    const problem = await problemOf(this.#daemon, image.reference, image.hash);
    if (problem !== null) this.say('D5', `what another image needs was taken away: ${problem}`);
    const staged = await readdir(join(this.#daemon.dataRoot, 'overlay2'));
    for (const name of staged.filter((one) => one.startsWith('.staged-'))) this.say('D2', `${name} is left`);
    const ingest = await readdir(join(this.#daemon.dataRoot, 'content/ingest'));
    if (ingest.length > 0) this.say('D2', `left in content/ingest: ${ingest.join(' ')}`);
    return isListed;
  }

  /** All but the keeper, by id: some have lost their name to another. */
  async removeAll(): Promise<void> {
    const { reference } = this.#keeper.image;
    for (const { Id, RepoTags } of await listedIds(this.#daemon)) {
      if (RepoTags?.includes(reference) === true) continue;
      const status = await remove(this.#daemon, Id);
      if (status !== 200) this.say('S7', `${Id} cannot be removed: ${status}`);
    }
  }
}
