import type { Readable, Writable } from 'node:stream';
import type { SpecProcess } from '#oci/runtime-spec.ts';
import type { ContainerSpec } from './spec.ts';
import type { LimitChange } from './task/limit-writes.ts';

/*
 * A task is the running side of a container: one shim, one init process, its execs. It exists from start to
 * exit; the record
 * of the container exists before and after it.
 */

export interface LogFile {
  readonly path: string;
  /** Size in bytes at which the file is rotated; none: never. */
  readonly maxSizeBytes?: number;
  /** How many files are kept, the newest one counted. */
  readonly maxFiles?: number;
}

export interface StartRequest {
  readonly id: string;
  /** From `buildRuntimeSpec`. `root.path`, the network namespace's path and `task:` paths are bound here. */
  readonly spec: ContainerSpec;
  /**
   * A detached mount or a plain tree, for instance from the snapshotter; it may still be on its way. The
   * caller closes it after `start` returned.
   */
  readonly rootfsFd: number | Promise<number>;
  /** Names what lies in it, where all of that name hold the same: one of them is looked through. */
  readonly knownTree?: string;
  /** Resolves when everything that mounts are made from is there. Default: it is. */
  readonly sourcesReady?: Promise<void>;
  /**
   * Open network namespace; absent: the runtime makes one, or the spec names another. The caller closes it.
   */
  readonly netns?: number;
  /** Makes what belongs into `netns`; called once, perhaps while the start is at work. */
  readonly connectNetwork?: () => Promise<void>;
  /**
   * Open user namespace for the spec's `user` entry, unless that names a task's. The caller closes it.
   */
  readonly usernsFd?: number;
  /**
   * Sockets bound to published ports. The shim keeps copies until the container ends; the caller closes its
   * own.
   */
  readonly heldPorts?: readonly number[];
  readonly terminal: boolean;
  /** The user's home directory, for a program whose environment has no HOME. */
  readonly home?: string;
  /** Size of the pseudo-terminal at the start. */
  readonly consoleSize?: TerminalSize;
  readonly openStdin: boolean;
  /** Standard input is closed when the first client that brought some leaves. */
  readonly stdinOnce: boolean;
  readonly log: LogFile | null;
  /** Absolute in the hierarchy, for instance `/docker/<id>`; the same as in the spec. */
  readonly cgroupPath: string;
  /** Name of a configured runtime; default: the daemon's default. */
  readonly runtime?: string;
  /** Gives the start up: it is undone and rejects with the signal's reason. */
  readonly cancel?: AbortSignal;
}

/** Of a start to come, as its request will say it. Not one that joins namespaces of another container. */
export interface ExpectedStart
  extends Pick<StartRequest, 'id' | 'spec' | 'terminal' | 'home' | 'consoleSize' | 'cgroupPath' | 'runtime'> {
  /** It will bring `netns` and `connectNetwork`. */
  readonly ownNetwork: boolean;
}

export interface ExecRequest {
  readonly execId: string;
  readonly process: SpecProcess;
  /** As for a start. */
  readonly home?: string;
  readonly terminal: boolean;
  readonly consoleSize?: TerminalSize;
  /** Whether the process gets an open standard input. */
  readonly stdin: boolean;
  readonly detach: boolean;
}

export interface TerminalSize {
  readonly width: number;
  readonly height: number;
}

export interface ExitRecord {
  /** 0–255; 128 + signal for a process that a signal ended; 137 when the shim was lost, with `reason`. */
  readonly exitCode: number;
  readonly signal?: number;
  readonly oomKilled: boolean;
  /** Nanoseconds since the epoch. */
  readonly exitedAtNanos: bigint;
  /** Why the code was not observed but concluded. */
  readonly reason?: string;
}

export interface AttachOptions {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

export interface AttachFrame {
  readonly stream: 'stdout' | 'stderr';
  readonly data: Buffer;
}

/**
 * A client's connection to the standard streams of a task or an exec. Backpressure holds from end to end: who
 * does not read
 * `output` lags in the shim (ring, then spill file), never in this process.
 */
export interface AttachStream {
  /**
   * Object mode: `AttachFrame`s in order, all as `stdout` with a terminal. Ends when the process's streams
   * end.
   */
  readonly output: Readable;
  /**
   * Standard input; `end()` closes the process's standard input if this client may. null when not asked for
   * or not open.
   */
  readonly input: Writable | null;
  /** Leaves without closing anything of the process. */
  detach(): void;
}

export interface RunningTask {
  readonly state: 'running' | 'paused';
  readonly pid: number;
  /** Clock ticks since boot: with the pid, the process's identity. */
  readonly startTime: number;
  /** Nanoseconds since the epoch. */
  readonly startedAtNanos: bigint;
}

export interface EndedTask {
  readonly state: 'exited';
  readonly pid: number;
  readonly startedAtNanos: bigint;
  readonly exit: ExitRecord;
}

export interface ExecState {
  readonly execId: string;
  readonly pid: number;
  /** Absent while it runs. */
  readonly exit?: ExitRecord;
}

/**
 * Called directly, once per fact, in the order of the facts, never before the `start` or `exec` in question
 * resolved.
 */
export interface TaskHandlers {
  /** The exit file stays until `delete`, so call that when the exit is in the durable record. */
  onExit(id: string, exit: ExitRecord): void;
  onExecExit(id: string, execId: string, exit: ExitRecord): void;
  onOom(id: string): void;
}

export interface TaskService {
  /**
   * Makes ahead what a start with this very spec object will need, while nobody waits. Errors: of a spec that
   * is refused; the start says them again.
   */
  expect(start: ExpectedStart): void;
  /**
   * Errors: the texts of the reference (`failed to create task for container: …`). Nothing is left when it
   * throws.
   */
  start(request: StartRequest): Promise<RunningTask>;
  exec(id: string, request: ExecRequest): Promise<{ pid: number }>;
  /**
   * `execId` null: the task itself. Before `start`/`exec`, the stream waits for it and then misses no byte; a
   * failed start ends
   * it. An attach to an exec must come before `exec` to see all of its output.
   */
  attach(id: string, execId: string | null, options: AttachOptions): Promise<AttachStream>;
  resize(id: string, execId: string | null, size: TerminalSize): Promise<void>;
  /** `all`: every process of the task's cgroup. Errors: `notFound` when no such task runs. */
  signal(id: string, signal: number, options?: { all?: boolean }): Promise<void>;
  /** Of every process in the task's cgroup. */
  pids(id: string): Promise<number[]>;
  pause(id: string): Promise<void>;
  resume(id: string): Promise<void>;
  /**
   * New limits for what runs; what is not named stays. Returns what takes them back. Errors: the kernel's,
   * when it does not take one; then none is changed.
   */
  update(id: string, change: LimitChange): Promise<() => Promise<void>>;
  /** The running task, or nothing. Synchronous: memory only. */
  get(id: string): RunningTask | undefined;
  isExecRunning(id: string, execId: string): boolean;
  /** Running execs, and after `reattach` also those that ended while no daemon was there. */
  execs(id: string): ExecState[];
  /**
   * Resolves when the kernel holds nothing any more of a task that ended: cgroup, runtime state, the shim's
   * reference to the root
   * file system. Wait for it before mounting the same writable layer again or removing it. At once when
   * nothing is pending.
   */
  settled(id: string): Promise<void>;
  /**
   * Forgets what is left of an ended task (exit file, task directory); nothing to do for an unknown id. Kills
   * what runs.
   */
  delete(id: string): Promise<void>;
  /**
   * At boot, once, before anything else: what every task directory turned out to be. Half-started ones are
   * cleaned up.
   */
  reattach(): Promise<Map<string, RunningTask | EndedTask>>;
  /** Lets go of all connections; tasks run on. */
  close(): Promise<void>;
}
