import { chmodSync, chownSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorCode } from '#base/errors.ts';
import { isJsonObject, type JsonObject, parseJson } from '#base/json.ts';
import { LIMITS } from '#base/limits.ts';
import type { ExitRecord } from '../task.ts';
import { type LaunchFacts, launchFacts } from './launch-facts.ts';

/*
 * The files of a task directory. It lies on a tmpfs: nothing here is flushed, and a reboot takes it away.
 * Small ones are written at once, which takes microseconds there; each trip to a thread and back would take
 * more. Whoever writes a file
 * writes it under another name first, so a reader sees a whole file or none; still, what is read is checked
 * like any input.
 */

/** Written by this process before anything else happens to a task: intent first, record afterwards. */
export interface TaskMeta {
  readonly version: 1;
  readonly id: string;
  /** Counts the starts of one directory's life; for logs. */
  readonly startedBy: number;
  readonly bootId: string;
  readonly cgroupPath: string;
  readonly runtime: string;
  /** Where the OCI runtime keeps its own state of this container. */
  readonly runtimeState: string;
  /** What execs have to know of a container that a launch plan started. */
  readonly launch?: LaunchFacts;
}

export interface ProcessFile {
  readonly pid: number;
  readonly startTime: number;
  readonly startedAtNanos: bigint;
}

export interface EndedExec {
  readonly execId: string;
  readonly pid: number;
  readonly exit: ExitRecord;
}

const META = 'task.json';
const MAX_COMPLAINT = 1024;

/** The end of a file, at most as much as the limit says; null when there is none. */
async function readTail(path: string): Promise<string | null> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, 'r');
    const { size } = await handle.stat();
    const length = Math.min(size, LIMITS.taskFileBytes);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, size - length);
    return buffer.toString('utf8', 0, bytesRead);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw error;
  } finally {
    await handle?.close();
  }
}

async function readObject(path: string): Promise<JsonObject | null> {
  const text = await readTail(path);
  return text === null ? null : parseObject(text);
}

function parseObject(text: string): JsonObject | null {
  try {
    const json = parseJson(text, 'task file');
    return isJsonObject(json) ? json : null;
  } catch {
    return null;
  }
}

function integer(value: unknown): number {
  const number = typeof value === 'string' && /^[0-9]{1,15}$/.test(value) ? Number(value) : value;
  return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 ? number : 0;
}

function nanos(value: unknown): bigint {
  return typeof value === 'string' && /^[0-9]{1,19}$/.test(value) ? BigInt(value) : 0n;
}

function writeWhole(path: string, text: string): void {
  writeFileSync(`${path}.tmp`, text, { mode: 0o600 });
  renameSync(`${path}.tmp`, path);
}

/**
 * A fresh task directory with its intent; whatever an earlier one left is gone. `group`: of root in the
 * container's user namespace, who attaches the root file system there and is nobody to the host.
 */
export function createTaskDirectory(directory: string, meta: TaskMeta, group?: number): void {
  const make = (): void => {
    mkdirSync(directory, { mode: 0o700 });
    mkdirSync(join(directory, 'rootfs'), { mode: 0o700 });
  };
  try {
    make();
  } catch (error) {
    const code = errorCode(error);
    if (code === 'EEXIST') rmSync(directory, { recursive: true, force: true });
    else if (code === 'ENOENT') mkdirSync(dirname(directory), { recursive: true, mode: 0o711 });
    else throw error;
    make();
  }
  if (group !== undefined) {
    chownSync(directory, 0, group);
    chmodSync(directory, 0o710);
  }
  // Torn, it is none: nothing has been done yet.
  writeFileSync(join(directory, META), JSON.stringify(meta), { mode: 0o600 });
}

export async function writeJson(path: string, value: unknown): Promise<void> {
  writeFileSync(path, JSON.stringify(value), { mode: 0o600 });
}

/** null: no intent was written (nothing was done yet), or it cannot be read. */
export async function readTaskMeta(directory: string): Promise<TaskMeta | null> {
  const json = await readObject(join(directory, META));
  if (json === null) return null;
  const { id, bootId, cgroupPath, runtime, runtimeState, startedBy } = json;
  const launch = launchFacts(json.launch);
  const texts = [id, bootId, cgroupPath, runtime, runtimeState];
  if (!texts.every((value): value is string => typeof value === 'string')) return null;
  const [a = '', b = '', c = '', d = '', e = ''] = texts;
  return {
    version: 1,
    id: a,
    startedBy: integer(startedBy),
    bootId: b,
    cgroupPath: c,
    runtime: d,
    runtimeState: e,
    ...(launch === null ? {} : { launch }),
  };
}

/** `shim.pid`: the shim's own process. */
export async function readShimPid(directory: string): Promise<{ pid: number; startTime: number } | null> {
  const json = await readObject(join(directory, 'shim.pid'));
  return json === null ? null : { pid: integer(json.pid), startTime: integer(json.startTime) };
}

/** `init`: there once the start succeeded. */
export async function readInit(directory: string): Promise<ProcessFile | null> {
  const json = await readObject(join(directory, 'init'));
  if (json === null || integer(json.pid) === 0) return null;
  return {
    pid: integer(json.pid),
    startTime: integer(json.startTime),
    startedAtNanos: nanos(json.startedAtNs),
  };
}

function exitRecord(json: JsonObject): ExitRecord {
  const signal = integer(json.signal);
  return {
    exitCode: integer(json.exitCode) & 0xff,
    ...(signal > 0 ? { signal } : {}),
    oomKilled: json.oomKilled === true,
    exitedAtNanos: nanos(json.exitedAtNs),
    ...(typeof json.reason === 'string' ? { reason: json.reason } : {}),
  };
}

/** `exit`. `pid` 0: the start failed. */
export async function readExit(directory: string): Promise<{ pid: number; exit: ExitRecord } | null> {
  const json = await readObject(join(directory, 'exit'));
  return json === null ? null : { pid: integer(json.pid), exit: exitRecord(json) };
}

/** What a shim complained about, its end. */
export async function readShimLog(directory: string): Promise<string> {
  return ((await readTail(join(directory, 'shim.log'))) ?? '').trim().slice(-MAX_COMPLAINT);
}

/** In the shim's place, for one that was killed: a later boot finds the same record. */
export async function writeExit(directory: string, pid: number, exit: ExitRecord): Promise<void> {
  const { exitCode, signal = 0, oomKilled, exitedAtNanos, reason } = exit;
  const json = { version: 1, pid, exitCode, signal, oomKilled, exitedAtNs: String(exitedAtNanos), reason };
  writeWhole(join(directory, 'exit'), JSON.stringify(json));
}

/**
 * `execs` and the lines before them, `execs.old`: what ended, also while no daemon was there. A torn last
 * line is skipped, later lines win.
 */
export async function readEndedExecs(directory: string): Promise<Map<string, EndedExec>> {
  const ended = new Map<string, EndedExec>();
  // In this order, so that a shim which renames the file in between hides nothing.
  const late = (await readTail(join(directory, 'execs'))) ?? '';
  const early = (await readTail(join(directory, 'execs.old'))) ?? '';
  for (const line of `${early}\n${late}`.split('\n')) {
    const json = line === '' ? null : parseObject(line);
    if (json === null || typeof json.id !== 'string') continue;
    ended.set(json.id, { execId: json.id, pid: integer(json.pid), exit: exitRecord(json) });
  }
  return ended;
}
