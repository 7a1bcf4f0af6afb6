import * as messages from '#api/messages.ts';
import { EngineError } from '#base/errors.ts';
import type { ContainerId, ExecId } from '#base/ids.ts';
import type { ResolvedUser } from '#runtime/user.ts';

/** Ended execs are remembered for a while, for clients that ask for the exit code. */
const KEEP_MS = 5 * 60_000;

export interface ExecConfig {
  readonly tty: boolean;
  readonly attach: { readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean };
  readonly detachKeys: string;
  readonly command: readonly string[];
  readonly env: readonly string[];
  readonly user: string;
  readonly workingDir: string;
  readonly privileged: boolean;
  readonly consoleSize: { readonly width: number; readonly height: number } | null;
}

/** One exec, from create to a while after its end. Lives in memory only, as in the reference. */
export interface Exec {
  readonly id: ExecId;
  readonly containerId: ContainerId;
  readonly config: ExecConfig;
  readonly user: ResolvedUser;
  started: boolean;
  running: boolean;
  pid: number;
  exitCode: number | null;
  endedAtMs: number;
  /** Resolves when it ended, or could not start. */
  readonly ended: Promise<void>;
  readonly resolveEnded: () => void;
}

export class ExecTable {
  readonly #execs = new Map<string, Exec>();

  add(id: ExecId, of: Pick<Exec, 'containerId' | 'config' | 'user'>): Exec {
    this.#sweep();
    const { promise, resolve } = Promise.withResolvers<void>();
    const exec: Exec = {
      id,
      ...of,
      started: false,
      running: false,
      pid: 0,
      exitCode: null,
      endedAtMs: 0,
      ended: promise,
      resolveEnded: resolve,
    };
    this.#execs.set(id, exec);
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

  #sweep(): void {
    const limit = Date.now() - KEEP_MS;
    for (const [id, exec] of this.#execs)
      if (exec.endedAtMs > 0 && exec.endedAtMs < limit) this.#execs.delete(id);
  }
}
