import { symlinkSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { EngineError, errorCode, errorMessage } from '#base/errors.ts';
import { nowNanos } from '#base/clock.ts';
import type { SeccompProgram } from '../seccomp/compile.ts';
import { ControlConnection } from '../shim/connection.ts';
import { readExit, readShimLog, type TaskMeta, writeExit } from '../shim/files.ts';
import { FIELD, type Fields, FRAME, type Frame } from '../shim/protocol.ts';
import { connectShim } from '../shim/spawn.ts';
import type { ExecState, ExitRecord, RunningTask } from '../task.ts';
import { runningRoot, type TaskContext } from './context.ts';
import { ExecPlans } from './exec-plans.ts';
import { killStragglers } from './stragglers.ts';

export interface ProcessFacts {
  readonly pid: number;
  readonly startTime: number;
  readonly startedAtNanos: bigint;
}

const SIGKILL = 9;
const KILLED_EXIT_CODE = 137;

/** An exit as frames tell it. `timeIndex`: which of the frame's times is the exit's. */
export function exitOf(fields: Fields, timeIndex = 0): ExitRecord {
  const signal = fields.int(FIELD.signal);
  return {
    exitCode: fields.int(FIELD.exitCode) & 0xff,
    ...(signal > 0 ? { signal } : {}),
    oomKilled: fields.int(FIELD.oomKilled) === 1,
    exitedAtNanos: fields.bigint(FIELD.timeNs, timeIndex) ?? nowNanos(),
  };
}

export function processOf(fields: Fields): ProcessFacts {
  return {
    pid: fields.int(FIELD.pid),
    startTime: fields.int(FIELD.startTime),
    startedAtNanos: fields.bigint(FIELD.timeNs) ?? 0n,
  };
}

/**
 * One task in memory, from its intent to its deletion: follows the shim's events and knows what is left to
 * clean.
 */
export class LiveTask {
  readonly directory: string;
  readonly meta: TaskMeta;
  /** `starting` until the start succeeded. */
  phase: 'starting' | 'running' | 'ended' = 'starting';
  /** True from the moment the shim takes attach connections. */
  attachable = false;
  paused = false;
  shim: { pid: number; startTime: number /** See `NewShim`. */; end?: number } = { pid: 0, startTime: 0 };
  /** Of the protocol that it speaks: it may have been left by an earlier daemon. */
  shimVersion = 0;
  /** Of a container that a launch plan started, once it is known; execs get it, too. */
  filter: SeccompProgram | undefined;
  readonly execs = new Map<string, ExecState>();
  readonly execPlans = new ExecPlans();
  /** Of an ended task: nothing of it is in the kernel any more. */
  settled: Promise<void> = Promise.resolve();
  readonly #context: TaskContext;
  readonly #ended = Promise.withResolvers<ExitRecord>();
  #process: ProcessFacts = { pid: 0, startTime: 0, startedAtNanos: 0n };
  #exit: ExitRecord | null = null;
  /** An end that was told before the start was known to have succeeded. */
  #early: ExitRecord | null = null;
  #control: ControlConnection | null = null;
  #leaving = false;

  constructor(context: TaskContext, directory: string, meta: TaskMeta) {
    this.#context = context;
    this.directory = directory;
    this.meta = meta;
  }

  get id(): string {
    return this.meta.id;
  }

  get process(): ProcessFacts {
    return this.#process;
  }

  get exit(): ExitRecord | null {
    return this.#exit;
  }

  get ended(): Promise<ExitRecord> {
    return this.#ended.promise;
  }

  /** Errors: `unavailable` without a connection. */
  get control(): ControlConnection {
    if (this.#control === null) throw new EngineError('unavailable', 'the shim of this container is gone');
    return this.#control;
  }

  snapshot(): RunningTask {
    return { state: this.paused ? 'paused' : 'running', ...this.#process };
  }

  /**
   * Events wait for the end of the current turn: whoever awaits the answer that came with them goes first.
   */
  connect(socket: Socket): ControlConnection {
    const control = new ControlConnection(socket, {
      event: (frame, fields) => setImmediate(() => this.#event(frame, fields)),
      closed: () => setImmediate(() => this.#connectionClosed(control)),
    });
    this.#control = control;
    return control;
  }

  started(facts: ProcessFacts): void {
    this.#process = facts;
    this.phase = 'running';
    this.#linkRoot(facts.pid);
    const early = this.#early;
    if (early !== null) setImmediate(() => this.finish(early));
    else if (this.#control === null) setImmediate(() => this.#recoverLost());
  }

  /** The container has its tree in a mount namespace of its own; this is the host's way to it. */
  #linkRoot(pid: number): void {
    const path = runningRoot(this.#context.execRoot, this.id);
    try {
      symlinkSync(`/proc/${pid}/root`, path);
    } catch (error) {
      // An earlier daemon has made it.
      if (errorCode(error) === 'EEXIST') return;
      this.#context.log.warn('the link to the root could not be made', { path, error: errorMessage(error) });
    }
  }

  /** Lets the task run on without this process. */
  leave(): void {
    this.#leaving = true;
    this.#control?.destroy();
  }

  #event(frame: Frame, fields: Fields): void {
    const { handlers } = this.#context;
    if (frame.type === FRAME.oom) handlers.onOom(this.id);
    else if (frame.type === FRAME.execExit) {
      const execId = fields.text(FIELD.execId);
      if (this.execs.delete(execId)) handlers.onExecExit(this.id, execId, exitOf(fields));
    } else if (frame.type === FRAME.exit) {
      // A short run is over before whoever starts it has looked at the answer.
      if (this.phase === 'starting') this.#early = exitOf(fields);
      else this.finish(exitOf(fields));
    }
  }

  #connectionClosed(control: ControlConnection): void {
    if (this.#control !== control || this.#leaving) return;
    this.#control = null;
    if (this.phase === 'running') this.#recoverLost();
  }

  #recoverLost(): void {
    this.recover().catch((error: unknown) => {
      this.#context.log.error('a lost shim could not be cleaned up', {
        container: this.id,
        error: errorMessage(error),
      });
    });
  }

  /**
   * After the connection is gone: the exit file decides, then the shim itself if it still lives, else the
   * task is lost.
   */
  async recover(): Promise<void> {
    const file = await readExit(this.directory);
    if (this.phase === 'ended') return;
    if (file !== null) return this.finish(file.exit);
    if (this.#context.kernel.processes.alive(this.shim) && (await this.#reconnect())) {
      // An end between the two connections was told to nobody.
      const late = await readExit(this.directory);
      if (late !== null) this.finish(late.exit);
      return;
    }
    await this.lose();
  }

  async #reconnect(): Promise<boolean> {
    try {
      await this.connect(await connectShim(this.directory)).hello();
      return true;
    } catch {
      return false;
    }
  }

  /** The shim was killed and nobody saw how the process ended: whatever is left of it ends now. */
  async lose(): Promise<void> {
    const { kernel, log } = this.#context;
    const reason = 'the shim of this container was killed';
    const said = await readShimLog(this.directory);
    log.warn(reason, { container: this.id, shim: this.shim.pid, ...(said === '' ? {} : { said }) });
    if (this.shim.pid > 0) kernel.processes.signal(this.shim, SIGKILL);
    await killStragglers(this.#context, this.directory);
    await killCgroup(this.#context, this.meta.cgroupPath);
    if (this.#process.pid > 0) kernel.processes.signal(this.#process, SIGKILL);
    const oomKilled =
      kernel.cgroups.exists(this.meta.cgroupPath) && kernel.cgroups.oomKills(this.meta.cgroupPath) > 0;
    const exit: ExitRecord = {
      exitCode: KILLED_EXIT_CODE,
      signal: SIGKILL,
      oomKilled,
      exitedAtNanos: nowNanos(),
      reason,
    };
    await writeExit(this.directory, this.#process.pid, exit);
    this.finish(exit);
  }

  finish(exit: ExitRecord): void {
    if (this.phase === 'ended') return;
    const { handlers } = this.#context;
    this.phase = 'ended';
    this.#exit = exit;
    this.settled = this.removeKernelObjects();
    for (const { execId, pid, exit: ended } of this.execs.values()) {
      if (pid > 0 && ended === undefined)
        handlers.onExecExit(this.id, execId, {
          exitCode: KILLED_EXIT_CODE,
          oomKilled: false,
          exitedAtNanos: exit.exitedAtNanos,
        });
    }
    this.execs.clear();
    handlers.onExit(this.id, exit);
    this.#ended.resolve(exit);
  }

  /** An exit that was found at boot: nobody is told by a handler. */
  found(exit: ExitRecord, facts: ProcessFacts): void {
    this.#process = facts;
    this.phase = 'ended';
    this.#exit = exit;
    this.#ended.resolve(exit);
    this.settled = this.removeKernelObjects();
  }

  /**
   * The runtime's state, the cgroup and the shim; never the task directory. Failures are logged: there is
   * nobody to tell.
   */
  async removeKernelObjects(): Promise<void> {
    const { log } = this.#context;
    const steps = [
      this.release(),
      removeCgroup(this.#context, this.meta.cgroupPath),
      ...(this.meta.runtimeState === ''
        ? []
        : [rm(this.meta.runtimeState, { recursive: true, force: true })]),
    ];
    for (const result of await Promise.allSettled(steps)) {
      if (result.status === 'rejected') {
        log.warn('cleaning up after a container', { container: this.id, error: errorMessage(result.reason) });
      }
    }
  }

  /**
   * The shim drops the root file system before it answers. `gone`: it did not answer, and what it had started
   * may still be at work. `busy`: with the container, or it lives without a connection to us.
   */
  async release(): Promise<'released' | 'gone' | 'busy'> {
    const control = this.#control;
    if (control === null || control.isClosed)
      return this.#context.kernel.processes.alive(this.shim) ? 'busy' : 'gone';
    try {
      await control.request(FRAME.release);
    } catch (error) {
      if (!control.isClosed) {
        this.#context.log.warn('releasing a shim', { container: this.id, error: errorMessage(error) });
        return 'busy';
      }
    }
    const outcome = control.isClosed ? 'gone' : 'released';
    this.#leaving = true;
    control.destroy();
    return outcome;
  }
}

export async function killCgroup(context: TaskContext, path: string): Promise<void> {
  const { cgroups } = context.kernel;
  if (!cgroups.exists(path)) return;
  // A frozen process takes SIGKILL when it is thawed, on v1.
  if (cgroups.isFrozen(path)) await cgroups.thaw(path);
  await cgroups.kill(path);
}

async function removeCgroup(context: TaskContext, path: string): Promise<void> {
  const { cgroups } = context.kernel;
  // Looking for it and into it costs more than trying.
  if (await cgroups.removeEmpty(path)) return;
  // Without a pid namespace of its own, the end of the first process leaves the others behind.
  if (cgroups.processes(path).length > 0) await killCgroup(context, path);
  await cgroups.remove(path);
}
