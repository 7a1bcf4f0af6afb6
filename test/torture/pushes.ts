import { startDaemon, type TestDaemon } from '../support/daemon.ts';
import { pull, push } from '../support/registry/fixture.ts';
import { type RealKind, registryIsMissing, startRegistry } from '../support/registry/real.ts';
import { seeded } from './clients.ts';
import { knownImage, type KnownImage, load, listed, problemOf, remove } from './loads.ts';
import type { Violation } from './rules.ts';

export interface PushKillOptions {
  readonly kills: number;
  readonly seed: number;
  readonly report?: (line: string) => void;
}

const HOST = '127.0.0.1:5000';

/** What the registry has under a tag, by its own word. */
async function statusAt(daemon: TestDaemon, repository: string): Promise<string> {
  const accept =
    'Accept: application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json';
  const address = `http://${HOST}/v2/${repository}/manifests/v`;
  const flags = ['-s', '-o', '/dev/null', '-w', '%{http_code}', '-H', accept];
  return (await daemon.inNetwork(['curl', ...flags, address])).stdout;
}

class Round {
  readonly #daemon: TestDaemon;
  readonly #image: KnownImage;
  readonly #repository: string;
  readonly violations: Violation[] = [];

  constructor(daemon: TestDaemon, image: KnownImage, number: number) {
    this.#daemon = daemon;
    this.#image = image;
    this.#repository = `torture/push${number}`;
  }

  async run(delayMs: number): Promise<void> {
    const daemon = this.#daemon;
    const target = `${HOST}/${this.#repository}:v`;
    if (!(await load(daemon, this.#image))) this.#say('D1', 'cannot be loaded');
    await this.#tag(this.#image.reference, `${HOST}/${this.#repository}`);
    await remove(daemon, this.#image.reference);
    const promised = push(daemon, target).catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    await daemon.kill('SIGKILL');
    const answer = await promised;
    await daemon.start();
    const isPushed = answer?.error === '' && answer.lines.some(({ aux }) => aux !== undefined);
    if (isPushed && (await statusAt(daemon, this.#repository)) !== '200')
      this.#say('D3', 'the push was acknowledged, and the registry has nothing');
    if (!(await listed(daemon)).includes(target)) this.#say('D1', 'a push took the image away');
    await this.#assertWhole(target, 'after the kill');
    const again = await push(daemon, target);
    if (again.error !== '') this.#say('D2', `a second push fails: ${again.error}`);
    await remove(daemon, target);
    const back = await pull(daemon, target);
    if (back.error === '') await this.#assertWhole(target, 'after it came back');
    else this.#say('D1', `it does not come back: ${back.error}`);
    const status = await remove(daemon, target);
    if (status !== 200) this.#say('S7', `cannot be removed: ${status}`);
  }

  async #tag(from: string, repository: string): Promise<void> {
    const path = `/images/${from}/tag?repo=${encodeURIComponent(repository)}&tag=v`;
    const { status } = await this.#daemon.api(path, { method: 'POST' });
    if (status !== 201) this.#say('D1', `cannot be tagged: ${status}`);
  }

  async #assertWhole(reference: string, when: string): Promise<void> {
    const problem = await problemOf(this.#daemon, reference, this.#image.hash);
    if (problem !== null) this.#say('D1', `${when}: ${problem}`);
  }

  #say(rule: string, text: string): void {
    this.violations.push({ rule, text: `${this.#repository}: ${text}` });
  }
}

/** Kills the daemon in the middle of pushes: here nothing is lost, there is the whole image or none. */
export async function killPushes(options: PushKillOptions): Promise<{ violations: Violation[] }> {
  const random = seeded(options.seed);
  const violations: Violation[] = [];
  const kinds = (['gantry', 'docker-registry'] as const).filter((kind) => registryIsMissing(kind) === false);
  for (const [turn, kind] of kinds.entries()) {
    const share = Math.ceil((options.kills - turn) / kinds.length);
    violations.push(...(await killAt(kind, share, { ...options, random })));
  }
  return { violations };
}

async function killAt(
  kind: RealKind,
  kills: number,
  options: PushKillOptions & { readonly random: () => number },
): Promise<Violation[]> {
  const violations: Violation[] = [];
  await using daemon = await startDaemon();
  const enter = ['nsenter', `--net=/run/netns/${daemon.network}`, '--'];
  await using registry = await startRegistry({ kind, address: HOST, enter });
  for (let kill = 0; kill < kills; kill++) {
    const delayMs = 5 + options.random() * 600;
    const round = new Round(daemon, knownImage(kill), kill);
    await round.run(delayMs);
    const found = round.violations;
    options.report?.(
      `push ${kill + 1} to ${kind} at ${registry.address}, killed after ${Math.round(delayMs)} ms: ${found.length} violations`,
    );
    for (const { rule, text } of found) options.report?.(`  ${rule}: ${text}`);
    violations.push(...found);
  }
  return violations;
}
