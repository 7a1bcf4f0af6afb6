import { closeSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { Socket } from 'node:net';
import { EngineError, errorMessage, isEngineError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { Rollback } from '#base/rollback.ts';
import { isKernelError } from '#host/kernel-error.ts';
import type { SpecIdMapping, SpecNamespaceType } from '#oci/runtime-spec.ts';
import type { AttachChannel } from '../shim/attach.ts';
import { createTaskDirectory, type TaskMeta } from '../shim/files.ts';
import { FIELD, Fields, type FieldValue, FRAME, START_FLAG } from '../shim/protocol.ts';
import { giveDescriptors, MAX_PORTS, type NewShim } from '../shim/spawn.ts';
import type { StartRequest } from '../task.ts';
import { bounded } from './bounded.ts';
import { type TaskContext, taskDirectory } from './context.ts';
import { killCgroup, LiveTask, processOf } from './live-task.ts';
import { oomDirectories } from './oom.ts';
import type { StartCall, Starter, StartIntent, StartWork } from './starter.ts';
import { starterOf } from './starters.ts';
import { killStragglers } from './stragglers.ts';

export interface LaunchOptions {
  readonly request: StartRequest;
  /** Clients that attached before there was a shim: they are there before anything can be written. */
  readonly takeWaiting: () => ReadonlySet<AttachChannel>;
  /** Called when the shim takes further attach connections. */
  readonly onAttachable: (task: LiveTask) => Promise<void>;
  /** Opens a namespace of another running task; its descriptor is closed here. */
  readonly openNamespace: (id: string, type: SpecNamespaceType) => number;
}

/** As much of an id as the shim takes. */
const SHOWN_ID_LENGTH = 64;
const NO_TASK = 'failed to create task for container';

/** From intent to running. On any failure nothing is left: no process, no cgroup, no directory. */
export async function launch(context: TaskContext, asked: LaunchOptions): Promise<LiveTask> {
  const options = { ...asked, request: { ...asked.request, rootfsFd: openedRoot(context, asked.request) } };
  const { request } = options;
  if ((request.heldPorts?.length ?? 0) > MAX_PORTS)
    throw new EngineError('invalidArgument', `${NO_TASK}: more than ${MAX_PORTS} published ports`);
  const starter = starterOf(context, request.runtime);
  const directory = taskDirectory(context, request.id);
  const held: number[] = [];
  const open = (id: string, type: SpecNamespaceType): string => {
    const fd = options.openNamespace(id, type);
    held.push(fd);
    return `/proc/${process.pid}/fd/${fd}`;
  };
  try {
    return await launchBy(context, { starter, options, intent: { request, directory, open } });
  } finally {
    for (const fd of held) closeSync(fd);
  }
}

interface LaunchParts {
  readonly starter: Starter;
  readonly options: LaunchOptions;
  readonly intent: StartIntent;
}

async function launchBy(context: TaskContext, parts: LaunchParts): Promise<LiveTask> {
  const { starter, options, intent } = parts;
  const { request, directory } = intent;
  const facts = await starter.facts(intent);
  const meta: TaskMeta = {
    version: 1,
    id: request.id,
    startedBy: process.pid,
    bootId: context.kernel.system.facts().bootId,
    cgroupPath: request.cgroupPath,
    runtime: starter.name,
    runtimeState: starter.stateOf(request.id),
    ...(facts === undefined ? {} : { launch: facts }),
  };
  const task = new LiveTask(context, directory, meta);
  await using rollback = new Rollback((error) =>
    context.log.warn('undoing a failed start', { container: request.id, error: errorMessage(error) }),
  );
  rollback.push(() => abandon(context, task));
  createTaskDirectory(directory, meta, hostId(request.spec.linux.gidMappings));
  await start(context, { starter, task, options, intent });
  rollback.commit();
  return task;
}

interface StartParts extends LaunchParts {
  readonly task: LiveTask;
}

/** While the tree of the container is opened the way of starting prepares what it can. */
async function start(context: TaskContext, parts: StartParts): Promise<void> {
  const { starter, task, intent } = parts;
  const greeted = Promise.withResolvers<number>();
  greeted.promise.catch(() => undefined);
  const work: StartWork = { ...intent, task, shimPid: () => greeted.promise };
  const prepared = starter.start(work);
  prepared.catch(() => undefined);
  try {
    const rootfsFd = await intent.request.rootfsFd;
    await startBy(context, { ...parts, work, prepared, greeted, rootfsFd });
  } catch (error) {
    // Without a shim nobody greets, and what is prepared may open descriptors until it knows.
    greeted.reject(error);
    await Promise.allSettled([prepared]);
    throw error;
  }
}

/** It lies in somebody else's file system, which may hang. */
function openedRoot(context: TaskContext, { rootfsFd, cancel }: StartRequest): number | Promise<number> {
  if (typeof rootfsFd === 'number') return rootfsFd;
  const limitMs = context.startLimitMs ?? LIMITS.taskStartMs;
  const late = `${NO_TASK}: no root file system within ${limitMs / 1000} s: context deadline exceeded`;
  const opened = bounded(rootfsFd, { limitMs, late, cancel });
  opened.catch(() => undefined);
  return opened;
}

interface StartingParts extends StartParts {
  readonly work: StartWork;
  readonly prepared: Promise<StartCall>;
  readonly greeted: PromiseWithResolvers<number>;
  readonly rootfsFd: number;
}

/** Greeting and request to start are sent together where nothing of the request depends on the greeting. */
async function startBy(context: TaskContext, parts: StartingParts): Promise<void> {
  const { starter, task, options, work, prepared, greeted } = parts;
  const { request } = options;
  const { socket, born, end, assignment } = assign(context, task, parts);
  task.shim = { ...task.shim, end };
  born.catch(() => socket.destroy());
  try {
    const control = task.connect(socket);
    const greeting = greet(context, task, { starter, options, assignment, socket });
    greeting.then(greeted.resolve, greeted.reject);
    // Where the spawn fails nobody greets; its own error says why.
    const [call] = await Promise.race([
      Promise.all([
        prepared,
        request.sourcesReady,
        starter.takesNetworkLater || connectNetwork(context, request),
      ]),
      born.then(() => new Promise<never>(() => undefined)),
    ]);
    const answer = control.request(FRAME.start, startFields(context, request, call));
    answer.catch(() => undefined);
    const network = starter.takesNetworkLater ? connectNetwork(context, request) : null;
    network?.catch(() => undefined);
    await born;
    await greeting;
    if (network !== null) {
      await network;
      // A start that has failed meanwhile waits for nothing; its answer says why.
      control.request(FRAME.networkReady).catch(() => undefined);
    }
    await finish(context, answer, { starter, work });
  } catch (error) {
    await Promise.allSettled([born]);
    throw error;
  }
}

async function connectNetwork(context: TaskContext, request: StartRequest): Promise<void> {
  if (request.connectNetwork === undefined) return;
  const limitMs = context.startLimitMs ?? LIMITS.taskStartMs;
  const late = `${NO_TASK}: no network within ${limitMs / 1000} s: context deadline exceeded`;
  await bounded(request.connectNetwork(), { limitMs, late, cancel: request.cancel });
}

interface AssignedShim extends NewShim {
  /** What it is told next: whose it is. */
  readonly assignment: readonly (readonly [number, FieldValue])[];
}

/** A shim for this task, with the descriptors that it is to have. */
function assign(
  context: TaskContext,
  task: LiveTask,
  { options, rootfsFd }: Pick<StartingParts, 'options' | 'rootfsFd'>,
): AssignedShim {
  const { heldPorts = [] } = options.request;
  const clients: number[] = [];
  for (const channel of options.takeWaiting()) {
    const [ours, theirs] = context.kernel.sockets.pair();
    clients.push(theirs);
    void channel.bind(new Socket({ fd: ours, readable: true, writable: true }), null);
  }
  const assignment = [
    [FIELD.id, task.id.slice(0, SHOWN_ID_LENGTH)],
    [FIELD.directory, task.directory],
    [FIELD.roots, 1],
    [FIELD.ports, heldPorts.length],
    [FIELD.clients, clients.length],
  ] as const;
  const fds = [rootfsFd, ...heldPorts, ...clients];
  try {
    return { ...takeShim(context, fds), assignment };
  } finally {
    for (const fd of clients) closeSync(fd);
  }
}

/** The spare one may have been killed, which nobody has seen yet. */
function takeShim(context: TaskContext, fds: readonly number[]): NewShim {
  for (;;) {
    const shim = context.shims.take();
    try {
      giveDescriptors(context.kernel, shim, fds);
      return shim;
    } catch (error) {
      shim.socket.destroy();
      if (!isKernelError(error, 'EPIPE') && !isKernelError(error, 'ECONNRESET')) throw error;
    }
  }
}

type GreetParts = Pick<StartParts, 'starter' | 'options'> & Pick<AssignedShim, 'assignment' | 'socket'>;

/** The shim's number, and the moment from which clients may attach. */
async function greet(
  context: TaskContext,
  task: LiveTask,
  { starter, options, assignment, socket }: GreetParts,
): Promise<number> {
  const { control } = task;
  socket.cork();
  const said = control.hello();
  const assigned = control.request(FRAME.assign, [...assignment, [FIELD.flags, starter.assignFlags]]);
  socket.uncork();
  assigned.catch(() => undefined);
  const [hello] = await bounded(said, {
    limitMs: Math.min(LIMITS.shimHelloMs, context.startLimitMs ?? Infinity),
    late: `${NO_TASK}: the shim does not answer`,
    cancel: options.request.cancel,
  }).catch((error: unknown) => {
    // Who does not say hello answers nothing else: undoing must not ask it.
    control.destroy();
    throw isEngineError(error, 'unavailable') ? killed(error) : error;
  });
  if (hello?.type !== FRAME.hello) throw new EngineError('internal', 'the shim did not say hello');
  const fields = new Fields(hello.payload);
  const version = fields.int(FIELD.version);
  task.shimVersion = version;
  if (version < starter.shimVersion)
    throw new EngineError(
      'internal',
      `${NO_TASK}: the shim speaks version ${version}, too old for this daemon`,
    );
  const { pid, startTime } = processOf(fields);
  task.shim = { ...task.shim, pid, startTime };
  await assigned;
  task.attachable = true;
  await options.onAttachable(task);
  return pid;
}

function killed(cause: unknown): EngineError {
  return new EngineError('internal', `${NO_TASK}: its shim was killed`, { cause });
}

interface Finish {
  readonly starter: Starter;
  readonly work: StartWork;
}

async function finish(
  context: TaskContext,
  answer: ReturnType<LiveTask['control']['request']>,
  { starter, work }: Finish,
): Promise<void> {
  const { request, task } = work;
  const limitMs = context.startLimitMs ?? LIMITS.taskStartMs;
  const frames = await bounded(answer, {
    limitMs,
    late: `${NO_TASK}: ${starter.name} has not finished within ${limitMs / 1000} s: context deadline exceeded`,
    cancel: request.cancel,
  }).catch((error: unknown) => {
    throw isEngineError(error, 'unavailable') ? killed(error) : error;
  });
  const last = frames.at(-1);
  const fields = new Fields(last?.payload ?? Buffer.alloc(0));
  if (last?.type !== FRAME.started) throw await starter.startFailure(fields, work);
  task.started(processOf(fields));
}

function startFields(context: TaskContext, request: StartRequest, call: StartCall): [number, FieldValue][] {
  const { log, consoleSize } = request;
  const flags =
    (request.openStdin ? START_FLAG.stdinOpen : 0) |
    (request.stdinOnce ? START_FLAG.stdinOnce : 0) |
    call.flags;
  const oom = oomDirectories(context.kernel.cgroups.layout(), request.cgroupPath);
  return [
    ...call.fields.map(([field, value]): [number, FieldValue] => [field, value]),
    [FIELD.flags, flags],
    [FIELD.logPath, log?.path],
    [FIELD.logMaxSize, log?.maxSizeBytes],
    [FIELD.logMaxFile, log?.maxFiles],
    [FIELD.oomV1Dir, oom.v1],
    [FIELD.oomV2Dir, oom.v2],
    [FIELD.width, consoleSize?.width],
    [FIELD.height, consoleSize?.height],
    // The shim opens it while this process holds it.
    [FIELD.netnsPath, request.netns === undefined ? undefined : `/proc/${process.pid}/fd/${request.netns}`],
    [FIELD.stdioUid, hostId(request.spec.linux.uidMappings)],
    [FIELD.stdioGid, hostId(request.spec.linux.gidMappings)],
  ];
}

/** What root in the container is on the host; undefined where it is root. */
function hostId(mappings: readonly SpecIdMapping[] | undefined): number | undefined {
  return mappings?.find(({ containerID }) => containerID === 0)?.hostID;
}

const SIGKILL = 9;

/** Ends whatever a start had begun. */
export async function abandon(context: TaskContext, task: LiveTask): Promise<void> {
  if ((await task.release()) !== 'released') {
    if (task.shim.pid > 0) context.kernel.processes.signal(task.shim, SIGKILL);
    await killStragglers(context, task.directory, task.shim.end);
    await killCgroup(context, task.meta.cgroupPath);
  }
  await task.removeKernelObjects();
  task.leave();
  await rm(task.directory, { recursive: true, force: true });
}
