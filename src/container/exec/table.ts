import * as messages from '#api/messages.ts';
import { EngineError } from '#base/errors.ts';
import type { ContainerId } from '#base/ids.ts';
import { LIMITS } from '#base/limits.ts';
import type { ExecFiles } from './exec-files.ts';
import type { Exec } from './exec-model.ts';

/** Ended execs are remembered for a while, for clients that ask for the exit code. */
const KEEP_MS = 5 * 60_000;
const SWEEP_MS = 10_000;

type Wanted = Pick<Exec, 'id' | 'containerId' | 'config' | 'user'>;

export class ExecTable {
  readonly files: ExecFiles;
  readonly #execs = new Map<string, Exec>();
  #sweptAtMs = 0;

  constructor(files: ExecFiles) {
    this.files = files;
  }

  /** Its file is there when this returns. Errors: `conflict` when too many wait for their start. */
  async add(of: Wanted): Promise<Exec> {
    this.#sweep();
    const waiting = this.#waitingIn(of.containerId);
    if (waiting >= LIMITS.waitingExecs) throw new EngineError('conflict', messages.tooManyExecs(waiting));
    // It counts from now on, so that many at once cannot slip through.
    const exec = this.restore(of);
    try {
      await this.files.save({ ...of, failedWith: null });
    } catch (error) {
      this.#execs.delete(exec.id);
      throw error;
    }
    return exec;
  }

  /** One that has a file already. */
  restore(of: Wanted): Exec {
    const { promise, resolve } = Promise.withResolvers<void>();
    const exec: Exec = {
      ...of,
      started: false,
      running: false,
      pid: 0,
      exitCode: null,
      endedAtMs: 0,
      ended: promise,
      resolveEnded: resolve,
    };
    this.#execs.set(exec.id, exec);
    return exec;
  }

  /** Errors: `notFound`. */
  get(id: string): Exec {
    const exec = this.#execs.get(id);
    if (exec === undefined) throw new EngineError('notFound', messages.noSuchExec(id));
    return exec;
  }

  find(id: string): Exec | undefined {
    return this.#execs.get(id);
  }

  end(exec: Exec, exitCode: number): void {
    exec.running = false;
    exec.exitCode = exitCode;
    exec.endedAtMs = Date.now();
    exec.resolveEnded();
  }

  ofContainer(id: ContainerId): readonly Exec[] {
    return [...this.#execs.values()].filter((exec) => exec.containerId === id);
  }

  forget(id: ContainerId): void {
    for (const exec of this.ofContainer(id)) this.#execs.delete(exec.id);
  }

  #waitingIn(id: ContainerId): number {
    let waiting = 0;
    for (const exec of this.#execs.values()) if (!exec.started && exec.containerId === id) waiting += 1;
    return waiting;
  }

  #sweep(): void {
    const now = Date.now();
    if (now - this.#sweptAtMs < SWEEP_MS) return;
    this.#sweptAtMs = now;
    const limit = now - KEEP_MS;
    for (const [id, exec] of this.#execs)
      if (exec.endedAtMs > 0 && exec.endedAtMs < limit) {
        this.#execs.delete(id);
        void this.files.remove(exec).catch(() => undefined);
      }
  }
}
