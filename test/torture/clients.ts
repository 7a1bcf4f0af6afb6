import type { TestDaemon } from '../support/daemon.ts';
import type { Entry, Ledger } from './ledger.ts';

export interface ClientsOptions {
  readonly daemon: TestDaemon;
  readonly ledger: Ledger;
  readonly image: string;
  /** 0 ≤ x < 1; seeded, so that a run can be repeated. */
  readonly random: () => number;
  /** Distinguishes the names of one round from those of the others. */
  readonly round: number;
}

/** A small seeded generator (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const COMMANDS: Readonly<Record<Entry['kind'], (code: number) => string[]>> = {
  sleeper: () => ['sleep', '86400'],
  exiter: (code) => ['sh', '-c', `sleep 0.0${code % 10}; exit ${code}`],
  vanisher: (code) => ['sh', '-c', `sleep 0.0${code % 10}; exit ${code}`],
};

/** The daemon lives and answered what it should not. */
class UnexpectedAnswer extends Error {}

/** One of the clients: creates, starts, execs and removes until the daemon goes away. */
class Client {
  readonly #options: ClientsOptions;
  readonly #number: number;
  #count = 0;

  constructor(options: ClientsOptions, number: number) {
    this.#options = options;
    this.#number = number;
  }

  async run(): Promise<void> {
    for (;;) {
      try {
        await this.#step();
      } catch (error) {
        // Otherwise the daemon is gone: what was attempted stays unacknowledged.
        if (error instanceof UnexpectedAnswer) this.#options.ledger.unexpected.push(error.message);
        return;
      }
    }
  }

  async #step(): Promise<void> {
    const { ledger, random } = this.#options;
    const mine = ledger.entries.filter((e) => e.name.startsWith(`t${this.#options.round}-${this.#number}-`));
    const removable = mine.filter(
      (e) => e.create === 'acknowledged' && e.remove === 'no' && e.kind !== 'vanisher',
    );
    const dice = random();
    const entry = removable[Math.floor(random() * removable.length)];
    if (dice < 0.25 && entry !== undefined) return this.#remove(entry);
    if (dice < 0.45 && entry?.pid !== undefined && entry.kind === 'sleeper') return this.#exec(entry);
    return this.#createAndStart();
  }

  async #createAndStart(): Promise<void> {
    const { daemon, ledger, random, round, image } = this.#options;
    const kind = (['sleeper', 'exiter', 'vanisher'] as const)[Math.floor(random() * 3)] ?? 'sleeper';
    const exitCode = Math.floor(random() * 100) + 1;
    const entry = ledger.add({ name: `t${round}-${this.#number}-${this.#count++}`, kind, exitCode });
    entry.create = 'attempted';
    const body = {
      Image: image,
      Cmd: COMMANDS[kind](exitCode),
      ExposedPorts: { '80/tcp': {} },
      HostConfig: { AutoRemove: kind === 'vanisher', PublishAllPorts: exitCode % 2 === 0 },
    };
    const created = await daemon.api(`/containers/create?name=${entry.name}`, { method: 'POST', body });
    if (created.status !== 201)
      throw new UnexpectedAnswer(`create: ${created.status} ${created.body.toString()}`);
    entry.id = (created.json as { Id: string }).Id;
    entry.create = 'acknowledged';
    ledger.acknowledged++;
    entry.start = 'attempted';
    const started = await daemon.api(`/containers/${entry.id}/start`, { method: 'POST' });
    if (started.status !== 204)
      throw new UnexpectedAnswer(`start: ${started.status} ${started.body.toString()}`);
    entry.start = 'acknowledged';
    ledger.acknowledged++;
    if (kind !== 'sleeper') return;
    const state = (await daemon.api(`/containers/${entry.id}/json`)).json as { State: { Pid: number } };
    entry.pid = state.State.Pid;
  }

  async #exec(entry: Entry): Promise<void> {
    const { daemon } = this.#options;
    const body = { Cmd: ['true'], AttachStdout: true };
    const made = await daemon.api(`/containers/${entry.id}/exec`, { method: 'POST', body });
    if (made.status !== 201)
      throw new UnexpectedAnswer(`exec create: ${made.status} ${made.body.toString()}`);
    const { Id } = made.json as { Id: string };
    const answer = await daemon.api(`/exec/${Id}/start`, { method: 'POST', body: { Detach: true } });
    if (answer.status >= 300) throw new UnexpectedAnswer(`exec: ${answer.status} ${answer.body.toString()}`);
    this.#options.ledger.acknowledged++;
  }

  async #remove(entry: Entry): Promise<void> {
    entry.remove = 'attempted';
    const answer = await this.#options.daemon.api(`/containers/${entry.id}?force=1`, { method: 'DELETE' });
    if (answer.status !== 204)
      throw new UnexpectedAnswer(`remove: ${answer.status} ${answer.body.toString()}`);
    entry.remove = 'acknowledged';
    this.#options.ledger.acknowledged++;
  }
}

/** Four clients at once; resolves when all of them have lost the daemon. */
export async function runClients(options: ClientsOptions): Promise<void> {
  await Promise.all([0, 1, 2, 3].map((number) => new Client(options, number).run()));
}
