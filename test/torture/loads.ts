import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { dockerArchive, tarOf } from '../support/images.ts';
import { run } from '../support/command.ts';
import { startDaemon, type TestDaemon } from '../support/daemon.ts';
import { seeded } from './clients.ts';
import type { Violation } from './rules.ts';

export interface LoadOptions {
  readonly kills: number;
  readonly seed: number;
  readonly report?: (line: string) => void;
}

export interface KnownImage {
  readonly reference: string;
  readonly archive: Buffer;
  /** What `sha256sum` of the image's file says. */
  readonly hash: string;
}

const FILE_BYTES = 12 * 1024 * 1024;
/** What an empty engine's data root may differ by: records, logs, the kept instance. */
const SLACK_KIB = 512;

export function knownImage(number: number): KnownImage {
  const busybox = readFileSync('/bin/busybox');
  const content = randomBytes(FILE_BYTES);
  const base = [
    { path: 'bin/', type: 'directory' as const },
    { path: 'bin/busybox', content: busybox, mode: 0o755 },
    ...['sh', 'sha256sum', 'true'].map((name) => ({
      path: `bin/${name}`,
      type: 'symlink' as const,
      target: 'busybox',
    })),
  ];
  const reference = `torture/load${number}:latest`;
  const layers = [base, [{ path: 'data', content }]];
  const { archive } = dockerArchive({ reference, layers, config: { Cmd: ['sha256sum', '/data'] } });
  return { reference, archive, hash: createHash('sha256').update(content).digest('hex') };
}

/** Sends a body in pieces, so that a kill can come in the middle of it; false when the daemon went away. */
function send(daemon: TestDaemon, path: string, body: Buffer): Promise<boolean> {
  return new Promise((resolve) => {
    const headers = { host: 'docker', 'content-type': 'application/x-tar', 'content-length': body.length };
    const outgoing = request({ socketPath: daemon.socket, method: 'POST', path, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', () => resolve(false));
      response.on('close', () => resolve(false));
      response.on('end', () => resolve(response.complete && !Buffer.concat(chunks).includes('"error"')));
    });
    outgoing.on('error', () => resolve(false));
    outgoing.end(body);
  });
}

export async function load(daemon: TestDaemon, image: KnownImage): Promise<boolean> {
  return await send(daemon, '/images/load?quiet=1', image.archive);
}

async function images(daemon: TestDaemon): Promise<{ Id: string; RepoTags: string[] | null }[]> {
  return (await daemon.api('/images/json?all=1')).json as { Id: string; RepoTags: string[] | null }[];
}

export async function listed(daemon: TestDaemon): Promise<string[]> {
  return (await images(daemon)).flatMap((image) => image.RepoTags ?? [image.Id]);
}

/** D1: runs the image; its file is what was put in. Null when it is. */
export async function problemOf(daemon: TestDaemon, reference: string, hash: string): Promise<string | null> {
  const body = { Image: reference, Cmd: ['/bin/sha256sum', '/data'] };
  const made = await daemon.api('/containers/create', { method: 'POST', body });
  if (made.status !== 201) return `cannot be created: ${made.body.toString()}`;
  const { Id } = made.json as { Id: string };
  const started = await daemon.api(`/containers/${Id}/start`, { method: 'POST' });
  if (started.status !== 204) return `cannot be started: ${started.body.toString()}`;
  await daemon.api(`/containers/${Id}/wait`, { method: 'POST' });
  const logs = (await daemon.api(`/containers/${Id}/logs?stdout=1&stderr=1`)).body.toString('latin1');
  await daemon.api(`/containers/${Id}?force=1`, { method: 'DELETE' });
  return logs.includes(hash) ? null : `another content: ${logs.slice(8, 200)}`;
}

export async function remove(daemon: TestDaemon, reference: string): Promise<number> {
  const answer = await daemon
    .api(`/images/${reference}?force=1`, { method: 'DELETE' })
    .catch(() => undefined);
  return answer?.status ?? 0;
}

export async function usedKib(path: string): Promise<number> {
  const { stdout } = await run('du', ['-sk', path]);
  return Number(stdout.split('\t')[0]);
}

type Verb = 'load' | 'import' | 'rmi';

/** One image, one verb in whose middle the daemon is killed, and what is true afterwards. */
class Round {
  readonly #daemon: TestDaemon;
  readonly #image: KnownImage;
  readonly #violations: Violation[] = [];

  constructor(daemon: TestDaemon, image: KnownImage) {
    this.#daemon = daemon;
    this.#image = image;
  }

  async run(verb: Verb, delayMs: number): Promise<Violation[]> {
    const { reference } = this.#image;
    if (verb === 'rmi' && !(await load(this.#daemon, this.#image))) this.#say('D1', 'cannot be loaded');
    const promised = this.#begin(verb);
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    await this.#daemon.kill('SIGKILL');
    const isDone = await promised;
    await this.#daemon.start();
    const names = await listed(this.#daemon);
    const isListed = names.includes(reference);
    if (isDone && verb !== 'rmi' && !isListed)
      this.#say('D3', `${verb} was acknowledged, and it is not listed`);
    if (isDone && verb === 'rmi' && isListed)
      this.#say('S2', 'its removal was acknowledged, and it is listed');
    for (const name of names.filter((one) => one !== reference))
      this.#say('D2', `${name} is listed, nobody gave it that name`);
    if (isListed && verb !== 'import') await this.#assertWhole('after the kill');
    if (!(await load(this.#daemon, this.#image))) this.#say('D2', `a second load after ${verb} fails`);
    await this.#assertWhole('after a second load');
    await this.#removeAll();
    return this.#violations;
  }

  #begin(verb: Verb): Promise<boolean> {
    const [repo, tag] = this.#image.reference.split(':');
    if (verb === 'load') return load(this.#daemon, this.#image);
    if (verb === 'rmi') return remove(this.#daemon, this.#image.reference).then((status) => status === 200);
    const tree = tarOf([{ path: 'data', content: this.#image.archive }]);
    return send(this.#daemon, `/images/create?fromSrc=-&repo=${repo}&tag=${tag}`, tree);
  }

  /** What an import had made lost its name to the second load: it goes by its id. */
  async #removeAll(): Promise<void> {
    for (const { Id } of await images(this.#daemon)) {
      const status = await remove(this.#daemon, Id);
      if (status !== 200) this.#say('S7', `${Id} cannot be removed: ${status}`);
    }
  }

  async #assertWhole(when: string): Promise<void> {
    const problem = await problemOf(this.#daemon, this.#image.reference, this.#image.hash);
    if (problem !== null) this.#say('D1', `${when}: ${problem}`);
  }

  #say(rule: string, text: string): void {
    this.#violations.push({ rule, text: `${this.#image.reference}: ${text}` });
  }
}

/** Kills the daemon in the middle of load, import and rmi: images are whole or absent, nothing half stays. */
export async function killLoads(options: LoadOptions): Promise<{ violations: Violation[] }> {
  const random = seeded(options.seed);
  const violations: Violation[] = [];
  await using daemon = await startDaemon();
  const first = knownImage(0);
  const began = performance.now();
  if (!(await load(daemon, first))) violations.push({ rule: 'D1', text: 'the first load fails' });
  const loadMs = performance.now() - began;
  await remove(daemon, first.reference);
  await daemon.restart('SIGTERM');
  const empty = await usedKib(daemon.dataRoot);
  for (let kill = 0; kill < options.kills; kill++) {
    const verb = (['load', 'import', 'load', 'rmi'] as const)[kill % 4] ?? 'load';
    const delayMs = random() * (verb === 'rmi' ? 25 : loadMs * 1.2);
    const found = await new Round(daemon, knownImage(kill)).run(verb, delayMs);
    options.report?.(
      `${verb} ${kill + 1}, killed after ${Math.round(delayMs)} ms: ${found.length} violations`,
    );
    for (const { rule, text } of found) options.report?.(`  ${rule}: ${text}`);
    violations.push(...found);
  }
  await daemon.restart('SIGTERM');
  const left = (await usedKib(daemon.dataRoot)) - empty;
  if (left > SLACK_KIB) violations.push({ rule: 'R2', text: `${left} KiB are left in the data root` });
  options.report?.(`left in the data root: ${left} KiB`);
  return { violations };
}
