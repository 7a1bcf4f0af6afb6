import { closeSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError, errorMessage, isEngineError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { Rollback } from '#base/rollback.ts';
import type { SpecNamespaceType, SpecProcess } from '#oci/runtime-spec.ts';
import { deniedCommand, type RuntimeFailure, startFailure } from '../runc/errors.ts';
import type { OciRuntime } from '../runc/oci-runtime.ts';
import { createTaskDirectory, type TaskMeta, writeJson } from '../shim/files.ts';
import { FIELD, Fields, type FieldValue, FRAME, START_FLAG } from '../shim/protocol.ts';
import { NETNS_FD, spawnShim } from '../shim/spawn.ts';
import { TASK_NAMESPACE, TASK_SHM } from '../spec/namespaces.ts';
import type { ContainerSpec } from '../spec.ts';
import type { StartRequest } from '../task.ts';
import { bounded } from './bounded.ts';
import { type TaskContext, taskDirectory } from './context.ts';
import { killCgroup, LiveTask, processOf } from './live-task.ts';
import { oomDirectories } from './oom.ts';
import { killStragglers } from './stragglers.ts';

export interface LaunchOptions {
  readonly request: StartRequest;
  /** Called when the shim takes attach connections, before the container runs. */
  readonly onAttachable: (task: LiveTask) => Promise<void>;
  /** Opens a namespace of another running task; its descriptor is closed here. */
  readonly openNamespace: (id: string, type: SpecNamespaceType) => number;
}

const NO_TASK = 'failed to create task for container';
const PID_FILE = 'init.pid';
const RUNTIME_LOG = 'runtime.log';
const CONSOLE_SOCKET = 'console.sock';
/**
 * crun before 1.9 refuses later versions, and nothing that we write needs one: runtimes skip what they do not
 * know.
 */
const READABLE_VERSION = '1.0.2';
/** Directory where the shim attaches the copy of another task's /dev/shm. */
const SHM = 'shm';

/** From intent to running. On any failure nothing is left: no process, no cgroup, no directory. */
export async function launch(context: TaskContext, options: LaunchOptions): Promise<LiveTask> {
  const { request } = options;
  const runtime = context.runtimes.get(request.runtime);
  const directory = taskDirectory(context, request.id);
  const meta: TaskMeta = {
    version: 1,
    id: request.id,
    startedBy: process.pid,
    bootId: context.kernel.system.facts().bootId,
    cgroupPath: request.cgroupPath,
    runtime: runtime.name,
    runtimeState: join(context.execRoot, 'runtimes', runtime.name, request.id),
  };
  const task = new LiveTask(context, directory, meta);
  await using rollback = new Rollback((error) =>
    context.log.warn('undoing a failed start', { container: request.id, error: errorMessage(error) }),
  );
  rollback.push(() => abandon(context, task));
  await rm(meta.runtimeState, { recursive: true, force: true });
  await createTaskDirectory(directory, meta);
  // Making what is there already waits for the kernel's lock over all groups.
  if (!context.kernel.cgroups.exists(context.shimCgroup)) context.kernel.cgroups.create(context.shimCgroup);
  const control = task.connect(
    await spawnShim(context.kernel, { ...shimOptions(context, request), directory }),
  );
  const [hello] = await bounded(control.hello(), {
    limitMs: Math.min(LIMITS.shimHelloMs, context.startLimitMs ?? Infinity),
    late: `${NO_TASK}: the shim does not answer`,
    cancel: request.cancel,
  }).catch((error: unknown) => {
    // Who does not say hello answers nothing else: undoing must not ask it.
    control.destroy();
    throw error;
  });
  if (hello?.type !== FRAME.hello) throw new EngineError('internal', 'the shim did not say hello');
  const { pid, startTime } = processOf(new Fields(hello.payload));
  task.shim = { pid, startTime };
  const held: number[] = [];
  try {
    const open = (id: string, type: SpecNamespaceType): string => {
      const fd = options.openNamespace(id, type);
      held.push(fd);
      return `/proc/${process.pid}/fd/${fd}`;
    };
    const bound = bindShm(bindNamespaces(request, pid, open), join(directory, SHM));
    const donor = bound.usesShm ? joinedTask(request.spec, 'ipc') : null;
    await writeJson(join(directory, 'config.json'), { ...bound.spec, ociVersion: READABLE_VERSION });
    task.attachable = true;
    await options.onAttachable(task);
    const shmOf = donor === null ? undefined : open(donor, 'mount');
    await run(context, task, { request, runtime, shmOf });
  } finally {
    for (const fd of held) closeSync(fd);
  }
  rollback.commit();
  return task;
}

function shimOptions(context: TaskContext, request: StartRequest) {
  return {
    shimPath: context.shimPath,
    id: request.id,
    cgroup: context.shimCgroup,
    rootfsFd: request.rootfsFd,
    heldPorts: request.heldPorts ?? [],
    ...(request.netnsFd === undefined ? {} : { netnsFd: request.netnsFd }),
  };
}

/**
 * Namespaces are given by descriptors that the shim or this process holds: no path of a bare pid outlives its
 * process.
 */
function bindNamespaces(
  request: StartRequest,
  shimPid: number,
  open: (id: string, type: SpecNamespaceType) => string,
): ContainerSpec {
  const { spec, netnsFd } = request;
  const namespaces = (spec.linux.namespaces ?? []).map((entry) => {
    if (entry.path?.startsWith(TASK_NAMESPACE)) {
      return { type: entry.type, path: open(entry.path.slice(TASK_NAMESPACE.length), entry.type) };
    }
    const bound = entry.type === 'network' && entry.path === undefined && netnsFd !== undefined;
    return bound ? { type: entry.type, path: `/proc/${shimPid}/fd/${NETNS_FD}` } : entry;
  });
  return { ...spec, process: sized(spec.process, request), linux: { ...spec.linux, namespaces } };
}

function joinedTask(spec: ContainerSpec, type: SpecNamespaceType): string | null {
  const path = spec.linux.namespaces?.find((entry) => entry.type === type)?.path;
  return path?.startsWith(TASK_NAMESPACE) === true ? path.slice(TASK_NAMESPACE.length) : null;
}

function bindShm(spec: ContainerSpec, path: string): { spec: ContainerSpec; usesShm: boolean } {
  const mounts = spec.mounts.map((mount) => (mount.source === TASK_SHM ? { ...mount, source: path } : mount));
  const usesShm = spec.mounts.some((mount) => mount.source === TASK_SHM);
  return { spec: { ...spec, mounts }, usesShm };
}

/** The OCI runtime gives the terminal its size before the process sees it; the shim could only follow. */
export function sized(
  process: SpecProcess,
  request: Pick<StartRequest, 'terminal' | 'consoleSize'>,
): SpecProcess {
  const { terminal, consoleSize } = request;
  if (!terminal || consoleSize === undefined) return process;
  return { ...process, consoleSize: { height: consoleSize.height, width: consoleSize.width } };
}

interface How {
  readonly request: StartRequest;
  readonly runtime: OciRuntime;
  /** Mount namespace whose /dev/shm the container gets. */
  readonly shmOf: string | undefined;
}

async function run(context: TaskContext, task: LiveTask, how: How): Promise<void> {
  const { request, runtime } = how;
  const limitMs = context.startLimitMs ?? LIMITS.taskStartMs;
  const frames = await bounded(task.control.request(FRAME.start, startFields(context, task, how)), {
    limitMs,
    late: `${NO_TASK}: ${runtime.name} has not finished within ${limitMs / 1000} s: context deadline exceeded`,
    cancel: request.cancel,
  }).catch((error: unknown) => {
    if (!isEngineError(error, 'unavailable')) throw error;
    throw new EngineError('internal', `${NO_TASK}: its shim was killed`, { cause: error });
  });
  const last = frames.at(-1);
  const fields = new Fields(last?.payload ?? Buffer.alloc(0));
  if (last?.type === FRAME.started) return task.started(processOf(fields));
  const command = request.spec.process.args[0] ?? '';
  const failure = failureOf(fields, runtime.path);
  const denied = deniedCommand(failure);
  const directory = denied !== null && (await isDirectory(context, request.rootfsFd, denied));
  throw startFailure(failure, command, () => directory);
}

function startFields(context: TaskContext, task: LiveTask, how: How): [number, FieldValue][] {
  const { request, runtime } = how;
  const { log, consoleSize } = request;
  const hide = runtime.hidesUnifiedCgroup && context.kernel.cgroups.version === 'hybrid';
  const flags =
    (request.openStdin ? START_FLAG.stdinOpen : 0) |
    (request.stdinOnce ? START_FLAG.stdinOnce : 0) |
    (hide ? START_FLAG.hideUnifiedCgroup : 0);
  const consoleSocket = request.terminal ? CONSOLE_SOCKET : undefined;
  const root = join(context.execRoot, 'runtimes', runtime.name);
  const call = { root, id: task.id, log: RUNTIME_LOG, pidFile: PID_FILE };
  const oom = oomDirectories(context.kernel.mounts.table(), request.cgroupPath);
  return [
    [FIELD.argv, runtime.startArgv(consoleSocket === undefined ? call : { ...call, consoleSocket })],
    [FIELD.pidFile, PID_FILE],
    [FIELD.runtimeLog, RUNTIME_LOG],
    [FIELD.consoleSocket, consoleSocket],
    [FIELD.flags, flags],
    [FIELD.logPath, log?.path],
    [FIELD.logMaxSize, log?.maxSizeBytes],
    [FIELD.logMaxFile, log?.maxFiles],
    [FIELD.oomV1Dir, oom.v1],
    [FIELD.oomV2Dir, oom.v2],
    [FIELD.shmOf, how.shmOf],
    [FIELD.width, consoleSize?.width],
    [FIELD.height, consoleSize?.height],
  ];
}

const ERRNO_TEXT: Readonly<Record<number, string>> = {
  2: 'no such file or directory',
  13: 'permission denied',
};

export function failureOf(fields: Fields, runtimePath: string): RuntimeFailure {
  const step = fields.text(FIELD.message);
  const errno = fields.int(FIELD.errno);
  return {
    status: fields.int(FIELD.runtimeStatus),
    logTail: fields.text(FIELD.logTail),
    stderrTail: fields.text(FIELD.stderrTail),
    shimMessage: step === '' ? '' : `${step}: ${ERRNO_TEXT[errno] ?? `errno ${errno}`}`,
    runtimePath,
  };
}

/** Of a path inside a tree that others control, and that may hang; any doubt is a no. */
export async function isDirectory(
  context: Pick<TaskContext, 'kernel'>,
  root: number,
  path: string,
): Promise<boolean> {
  try {
    return (await context.kernel.files.slow.stat(root, path, { follow: true })).type === 'directory';
  } catch {
    return false;
  }
}

const SIGKILL = 9;

/** Ends whatever a start had begun. */
export async function abandon(context: TaskContext, task: LiveTask): Promise<void> {
  if ((await task.release()) !== 'released') {
    if (task.shim.pid > 0) context.kernel.processes.signal(task.shim, SIGKILL);
    await killStragglers(context, task.directory);
    await killCgroup(context, task.meta.cgroupPath);
  }
  await task.removeKernelObjects();
  task.leave();
  await rm(task.directory, { recursive: true, force: true });
}
