/**
 * Start, exec, kill, exit in random order by several workers at once; afterwards nothing may be left: no
 * process, no zombie, no mount, cgroup, link or descriptor, and no exit may have got stuck.
 */
import { readdir, readFile } from 'node:fs/promises';
import { startDaemon, type TestDaemon } from '../support/daemon.ts';
import { findLeaks } from '../support/leaks.ts';
import { seeded } from './clients.ts';
import type { Violation } from './rules.ts';

export interface LifecycleOptions {
  readonly lifecycles: number;
  readonly archive: string;
  readonly image: string;
  readonly seed: number;
  readonly report?: (line: string) => void;
}

const WORKERS = 8;
/** Longer than anything that a lifecycle asks for; what takes longer is stuck. */
const STUCK_MS = 20_000;
/** Descriptors that a daemon may have more of after much work: caches, the library's own. */
const SPARE_DESCRIPTORS = 8;

/** What a container's first process does. */
const COMMANDS: readonly (readonly string[])[] = [
  ['true'],
  ['sh', '-c', 'exit 7'],
  ['sleep', '300'],
  // Children that nobody reaps, and one that outlives its parent.
  ['sh', '-c', 'sleep 300 & sleep 0.05 & sleep 300'],
  ['sh', '-c', 'trap "exit 3" TERM; while :; do sleep 0.02; done'],
];
/** What execs do; the last one leaves a child behind whose parent is outside of the container's processes. */
const EXECS: readonly (readonly string[])[] = [
  ['true'],
  ['sh', '-c', 'exit 9'],
  ['sleep', '300'],
  ['sh', '-c', 'sleep 300 & exit 0'],
];

/** An exec that fails on its way in, before anybody knows that the container has ended, says so. */
const ENDED = /container \w+ (is not running|has ended)|no such container/i;

class Worker {
  readonly #daemon: TestDaemon;
  readonly #image: string;
  readonly #random: () => number;
  readonly violations: Violation[] = [];
  /** Execs that were asked for, and those that began. */
  asked = 0;
  started = 0;

  constructor(daemon: TestDaemon, image: string, random: () => number) {
    this.#daemon = daemon;
    this.#image = image;
    this.#random = random;
  }

  async #post(path: string, allowed: readonly number[], body?: unknown): Promise<unknown> {
    const answer = await this.#daemon.api(path, {
      method: 'POST',
      timeoutMs: STUCK_MS,
      ...(body === undefined ? {} : { body }),
    });
    if (!allowed.includes(answer.status))
      this.violations.push({ rule: 'answer', text: `${path}: ${answer.status} ${answer.body.toString()}` });
    return answer.json;
  }

  #pick<T>(list: readonly T[]): T {
    const found = list[Math.floor(this.#random() * list.length)];
    if (found === undefined) throw new Error('nothing to pick from');
    return found;
  }

  #below(bound: number): number {
    return Math.floor(this.#random() * bound);
  }

  async #exec(id: string): Promise<void> {
    const Cmd = this.#pick(EXECS);
    // The container may have ended meanwhile: 409.
    const made = await this.#post(`/containers/${id}/exec`, [201, 409], { Cmd, AttachStdout: true });
    const exec = (made as { Id?: string } | undefined)?.Id;
    if (exec === undefined) return;
    this.asked += 1;
    const answer = await this.#daemon.api(`/exec/${exec}/start`, {
      method: 'POST',
      timeoutMs: STUCK_MS,
      body: { Detach: true },
    });
    if (answer.status === 200) this.started += 1;
    // The container may have been removed or have ended meanwhile.
    else if (![404, 409].includes(answer.status)) {
      const text = `${answer.status} ${answer.body.toString()}`;
      if (answer.status !== 500 || !ENDED.test(text)) this.violations.push({ rule: 'exec', text });
    }
  }

  async #end(id: string): Promise<void> {
    const way = this.#below(4);
    if (way === 0) await this.#post(`/containers/${id}/kill`, [204, 409]);
    if (way === 1) await this.#post(`/containers/${id}/kill?signal=TERM`, [204, 409]);
    if (way === 2) await this.#post(`/containers/${id}/stop?t=0`, [204, 304]);
    if (way !== 2) await this.#post(`/containers/${id}/kill`, [204, 409]);
  }

  async lifecycle(): Promise<void> {
    const body = {
      Image: this.#image,
      Cmd: this.#pick(COMMANDS),
      HostConfig: this.#below(3) === 0 ? { Init: true } : {},
    };
    const made = (await this.#post('/containers/create', [201], body)) as { Id?: string };
    if (made.Id === undefined) return;
    const id = made.Id;
    const ended = this.#daemon.api(`/containers/${id}/wait?condition=next-exit`, {
      method: 'POST',
      timeoutMs: STUCK_MS,
    });
    await this.#post(`/containers/${id}/start`, [204]);
    const execs = Array.from({ length: this.#below(4) }, () => this.#exec(id));
    if (this.#below(2) === 0) await Promise.all(execs);
    await this.#end(id);
    await Promise.all(execs);
    const stuck = await ended.then(
      ({ status }) => (status === 200 ? undefined : `answered ${status}`),
      (error: unknown) => String(error),
    );
    if (stuck !== undefined) this.violations.push({ rule: 'stuck', text: `${id}: ${stuck}` });
    const answer = await this.#daemon.api(`/containers/${id}?force=1`, { method: 'DELETE' });
    if (answer.status !== 204)
      this.violations.push({ rule: 'remove', text: `${answer.status} ${answer.body.toString()}` });
  }
}

async function descriptors(pid: number): Promise<number> {
  return (await readdir(`/proc/${pid}/fd`)).length;
}

/** Children of the daemon that have ended and that it has not waited for. */
async function zombies(daemon: number): Promise<string[]> {
  const found: string[] = [];
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
    const [state, parent = ''] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (state === 'Z' && parent === String(daemon)) found.push(pid);
  }
  return found;
}

export async function runLifecycles(options: LifecycleOptions): Promise<{ violations: Violation[] }> {
  const { lifecycles, archive, image, seed, report } = options;
  await using daemon = await startDaemon();
  await daemon.loadImage(archive);
  const workers = Array.from({ length: WORKERS }, (_, i) => new Worker(daemon, image, seeded(seed + i)));
  await Promise.all(workers.map((worker) => worker.lifecycle()));
  const before = await descriptors(daemon.pid);
  let left = lifecycles - WORKERS;
  await Promise.all(
    workers.map(async (worker) => {
      while (left-- > 0) {
        await worker.lifecycle();
        if (left > 0 && left % 100 === 0) report?.(`${left} lifecycles left`);
      }
    }),
  );
  const violations = workers.flatMap((worker) => worker.violations);
  const asked = workers.reduce((sum, worker) => sum + worker.asked, 0);
  const started = workers.reduce((sum, worker) => sum + worker.started, 0);
  report?.(`${started} of ${asked} execs began`);
  if (started < asked / 4) violations.push({ rule: 'execs', text: `only ${started} of ${asked} began` });
  const add = (rule: string, lines: readonly string[]): void => {
    for (const text of lines) violations.push({ rule, text });
  };
  add('left', await findLeaks(daemon));
  add('zombie', await zombies(daemon.pid));
  const after = await descriptors(daemon.pid);
  if (after > before + SPARE_DESCRIPTORS) add('descriptors', [`${before} before, ${after} after`]);
  return { violations };
}
