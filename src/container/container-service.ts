import type { ContainerId, ExecId } from '#base/ids.ts';
import type { JsonObject } from '#base/json.ts';
import type { ImageDefaults } from '#oci/image-config.ts';
import type { Reference } from '#oci/reference.ts';
import type { StreamClient } from './attach/copy.ts';
import type { OutputFrame, StreamChoice, TaskHandlers } from './ports.ts';
import type { ContainerRecord } from './record.ts';

/*
 * The face that routes call. `reference` is always what a client wrote: a full id, a name or a unique
 * prefix of an id.
 * Errors are EngineErrors whose texts are the reference's.
 */

export type { StreamClient };

export interface CreateRequest {
  readonly name: string;
  /** The body as parsed JSON; checked here. Null: the client sent none. */
  readonly body: JsonObject | null;
  readonly platform: string | null;
  /** Of the client, `1.51`: defaults differ between versions. */
  readonly apiVersion: string;
}

export interface CreateReply {
  readonly Id: ContainerId;
  readonly Warnings: readonly string[];
}

export interface AttachRequest {
  readonly streams: StreamChoice;
  /** Send what was logged so far first. */
  readonly logs: boolean;
  readonly stream: boolean;
  /** As the client wrote it; empty: the default, ctrl-p ctrl-q. */
  readonly detachKeys: string;
}

/** A session is checked and ready (status and headers can be sent); `run` copies until an end is reached. */
export interface StreamSession {
  /** A terminal's output is one raw stream, otherwise frames are multiplexed. */
  readonly tty: boolean;
  run(client: StreamClient): Promise<void>;
}

export interface LogsRequest {
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly follow: boolean;
  readonly timestamps: boolean;
  readonly details: boolean;
  /** `all`, a number, or anything (then all). */
  readonly tail: string;
  /** Seconds since the epoch with an optional fraction, as clients send it; empty: none. */
  readonly since: string;
  readonly until: string;
}

export interface LogsSession {
  readonly tty: boolean;
  /** Ends at the end of the log; with `follow`, when the container ended or `signal` aborts. */
  frames(signal: AbortSignal): AsyncIterable<OutputFrame>;
}

export interface ListRequest {
  readonly all: boolean;
  /** ≤ 0: no limit; a limit includes what does not run. */
  readonly limit: number;
  readonly size: boolean;
  /** Parsed `filters`, each key with its values. */
  readonly filters: ReadonlyMap<string, readonly string[]>;
}

export interface StopRequest {
  readonly signal?: string;
  /** Seconds; negative: wait without end. Absent: the container's or 10. */
  readonly timeoutSeconds?: number;
}

export interface CommitRequest {
  readonly target: Reference | null;
  /** Absent: as the container has it. */
  readonly defaults: ImageDefaults | null;
  /** Dockerfile instructions. */
  readonly changes: readonly string[];
  readonly author: string;
  readonly comment: string;
  /** Stop its processes while its files are read. */
  readonly pause: boolean;
}

export interface RemoveRequest {
  readonly force: boolean;
  readonly volumes: boolean;
  readonly link: boolean;
}

export type WaitCondition = 'not-running' | 'next-exit' | 'removed';

export interface WaitReply {
  readonly StatusCode: number;
  readonly Error?: { readonly Message: string };
}

export interface ExecStartRequest {
  readonly detach: boolean;
  readonly tty: boolean;
  readonly consoleSize: { readonly width: number; readonly height: number } | null;
}

export interface TopReply {
  readonly Processes: readonly (readonly string[])[];
  readonly Titles: readonly string[];
}

export interface RestoreReport {
  readonly running: number;
  readonly ended: number;
  readonly removed: number;
  readonly quarantined: readonly string[];
}

export interface ContainerCounts {
  readonly total: number;
  readonly running: number;
  readonly paused: number;
  readonly stopped: number;
}

export interface ContainerService {
  create(request: CreateRequest): Promise<CreateReply>;
  start(reference: string): Promise<void>;
  stop(reference: string, request: StopRequest): Promise<void>;
  restart(reference: string, request: StopRequest): Promise<void>;
  kill(reference: string, signal: string): Promise<void>;
  pause(reference: string): Promise<void>;
  unpause(reference: string): Promise<void>;
  rename(reference: string, newName: string): Promise<void>;
  update(
    reference: string,
    body: JsonObject | null,
  ): Promise<{ readonly Warnings: readonly string[] | null }>;
  remove(reference: string, request: RemoveRequest): Promise<void>;
  /** Resolves once the condition is set up; the reply follows when it is met or `signal` aborts. */
  wait(
    reference: string,
    condition: string,
    signal: AbortSignal,
  ): Promise<{ readonly reply: Promise<WaitReply> }>;
  resize(reference: string, size: { readonly width: number; readonly height: number }): Promise<void>;
  attach(reference: string, request: AttachRequest): Promise<StreamSession>;
  logs(reference: string, request: LogsRequest): Promise<LogsSession>;
  top(reference: string, psArgs: string): Promise<TopReply>;
  list(request: ListRequest): Promise<readonly JsonObject[]>;
  inspect(
    reference: string,
    options: { readonly size: boolean; readonly apiVersion: string },
  ): Promise<JsonObject>;
  prune(
    filters: ReadonlyMap<string, readonly string[]>,
  ): Promise<{ readonly ContainersDeleted: readonly string[] | null; readonly SpaceReclaimed: number }>;

  /** Makes an image of what the container changed. Gives its id. */
  commit(reference: string, request: CommitRequest): Promise<string>;
  /** The whole tree as an archive, to be read to its end or left. Checked when this resolves. */
  export(reference: string): Promise<AsyncGenerator<Buffer>>;
  /** JSON text, in chunks. Checked when this resolves. */
  changes(reference: string): Promise<AsyncGenerator<Buffer>>;

  execCreate(reference: string, body: JsonObject | null): Promise<{ readonly Id: ExecId }>;
  /** Null when detached: the process runs and nothing is to be copied. */
  execStart(execId: string, request: ExecStartRequest): Promise<StreamSession | null>;
  execInspect(execId: string): Promise<JsonObject>;
  execResize(execId: string, size: { readonly width: number; readonly height: number }): Promise<void>;

  /** For the image room: who uses an image. */
  usingImage(
    imageId: string,
  ): readonly { readonly id: ContainerId; readonly name: string; readonly running: boolean }[];
  counts(): ContainerCounts;
  records(): readonly ContainerRecord[];
  /** What the runtime calls; wired at construction. */
  readonly handlers: TaskHandlers;
  /** At boot, before the first request. */
  restore(): Promise<RestoreReport>;
  /** After boot, in the background: starts what its restart policy wants to run. */
  startByPolicy(): Promise<void>;
  /** Writes what group commit still holds. Containers go on. */
  close(): Promise<void>;
}
