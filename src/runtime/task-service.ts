import { closeSync, fstatSync, openSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from '#base/assert.ts';
import { EngineError, errorMessage } from '#base/errors.ts';
import { KeyedMutex } from '#base/keyed-mutex.ts';
import type { SpecNamespaceType } from '#oci/runtime-spec.ts';
import { MountTargets } from './mount-targets.ts';
import { AttachChannel } from './shim/attach.ts';
import { FIELD, FRAME } from './shim/protocol.ts';
import { ShimSource } from './shim/spare.ts';
import { connectShim, type ShimProgram } from './shim/spawn.ts';
import { type TaskContext, taskDirectory } from './task/context.ts';
import { execInTask } from './task/exec.ts';
import { launch } from './task/launch.ts';
import { applyLimits } from './task/apply-limits.ts';
import type { LimitChange } from './task/limit-writes.ts';
import { killCgroup, type LiveTask } from './task/live-task.ts';
import { reattachAll } from './task/reattach.ts';
import { StartPlans } from './task/start-plans.ts';
import type {
  AttachOptions,
  AttachStream,
  EndedTask,
  ExecRequest,
  ExecState,
  ExpectedStart,
  RunningTask,
  StartRequest,
  TaskService,
  TerminalSize,
} from './task.ts';

export { runningRoot } from './task/context.ts';

export type TaskServiceOptions = Omit<TaskContext, 'plans' | 'shims' | 'targets'> & {
  /** What is executed as the shim. */
  readonly shim: ShimProgram;
  /** How many shims are kept ready for starts to come. Default 0. */
  readonly spareShims?: number;
};

const SIGKILL = 9;
/** How long a killed task may take to be reported as ended. */
const KILL_LIMIT_MS = 10_000;
const ID = /^[0-9A-Za-z][0-9A-Za-z_-]{0,127}$/;
const EXEC_ID = /^[0-9A-Za-z][0-9A-Za-z_-]{0,63}$/;
const NAMESPACE_FILES: Readonly<Partial<Record<SpecNamespaceType, string>>> = {
  pid: 'pid',
  ipc: 'ipc',
  network: 'net',
  uts: 'uts',
  cgroup: 'cgroup',
  mount: 'mnt',
  user: 'user',
};

/** Joining one's own user namespace is an error of the kernel: the donor is not remapped, as its guest is. */
function refuseHostUser(fd: number, type: SpecNamespaceType): void {
  if (type !== 'user' || fstatSync(fd).ino !== statSync('/proc/self/ns/user').ino) return;
  throw new EngineError(
    'conflict',
    "cannot join a namespace of a container that runs in the host's user namespace: use --userns=host",
  );
}

export function createTaskService(options: TaskServiceOptions): TaskService {
  const { shim, spareShims = 0, ...rest } = options;
  const { kernel, shimCgroup } = rest;
  const shims = new ShimSource({ kernel, program: shim, cgroup: shimCgroup, spares: spareShims });
  const targets = new MountTargets(kernel.files);
  return new Tasks({ ...rest, shims, targets, plans: new StartPlans(kernel) });
}

class Tasks implements TaskService {
  readonly #context: TaskContext;
  readonly #tasks = new Map<string, LiveTask>();
  /** Clients that attached before the start. */
  readonly #waiting = new Map<string, Set<AttachChannel>>();
  readonly #starting = new Map<string, LiveTask>();
  readonly #mutex = new KeyedMutex();

  constructor(context: TaskContext) {
    this.#context = context;
  }

  expect(start: ExpectedStart): void {
    if (this.#context.runtimes.get(start.runtime).kind === 'own')
      this.#context.plans.expect(start, taskDirectory(this.#context, start.id));
  }

  start(request: StartRequest): Promise<RunningTask> {
    assert(ID.test(request.id), 'a task id names a directory');
    return this.#mutex.run(request.id, () => this.#start(request));
  }

  async #start(request: StartRequest): Promise<RunningTask> {
    const old = this.#tasks.get(request.id);
    if (old?.phase === 'running')
      throw new EngineError('conflict', `container ${request.id} is already running`);
    await old?.settled;
    this.#tasks.delete(request.id);
    try {
      const task = await launch(this.#context, {
        request,
        openNamespace: (id, type) => this.#openNamespace(id, type),
        takeWaiting: () => this.#takeWaiting(request.id),
        onAttachable: async (starting) => {
          this.#starting.set(request.id, starting);
          await Promise.all(
            [...this.#takeWaiting(request.id)].map((channel) => this.#bind(starting, channel, null)),
          );
        },
      });
      this.#tasks.set(request.id, task);
      return task.snapshot();
    } catch (error) {
      for (const channel of this.#takeWaiting(request.id)) channel.finish();
      throw error;
    } finally {
      this.#starting.delete(request.id);
      // Whoever waits for this start goes first.
      setImmediate(() => this.#prepareShim());
    }
  }

  /** The next start makes its own, or tells why it cannot. */
  #prepareShim(): void {
    try {
      this.#context.shims.prepare();
    } catch (error) {
      this.#context.log.warn('no shim is kept ready', { error: errorMessage(error) });
    }
  }

  #takeWaiting(id: string): ReadonlySet<AttachChannel> {
    const waiting = this.#waiting.get(id) ?? new Set();
    this.#waiting.delete(id);
    return waiting;
  }

  /** The check follows the open: from then on the descriptor, not the number, names the namespace. */
  #openNamespace(id: string, type: SpecNamespaceType): number {
    const { process } = this.#running(id);
    const file = NAMESPACE_FILES[type];
    if (file === undefined)
      throw new EngineError('invalidArgument', `cannot join the ${type} namespace of another container`);
    const fd = openSync(`/proc/${process.pid}/ns/${file}`, 'r');
    try {
      refuseHostUser(fd, type);
      if (this.#context.kernel.processes.alive(process)) return fd;
      throw notRunning(id);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  #running(id: string): LiveTask {
    const task = this.#tasks.get(id);
    if (task?.phase !== 'running') throw notRunning(id);
    return task;
  }

  exec(id: string, request: ExecRequest): Promise<{ pid: number }> {
    assert(EXEC_ID.test(request.execId), 'an exec id names files');
    return execInTask(this.#context, this.#running(id), request);
  }

  async attach(id: string, execId: string | null, options: AttachOptions): Promise<AttachStream> {
    const task = this.#tasks.get(id) ?? this.#starting.get(id);
    if (task === undefined || task.phase === 'ended' || !task.attachable) {
      if (execId !== null) throw notRunning(id);
      return this.#wait(id, options);
    }
    const channel = new AttachChannel(options, () => undefined);
    await this.#bind(task, channel, execId);
    return channel;
  }

  #wait(id: string, options: AttachOptions): AttachChannel {
    const set = this.#waiting.get(id) ?? new Set<AttachChannel>();
    const channel = new AttachChannel(options, (leaving) => {
      set.delete(leaving);
      if (set.size === 0 && this.#waiting.get(id) === set) this.#waiting.delete(id);
    });
    this.#waiting.set(id, set.add(channel));
    return channel;
  }

  async #bind(task: LiveTask, channel: AttachChannel, execId: string | null): Promise<void> {
    await channel.bind(await connectShim(task.directory), execId);
  }

  async resize(id: string, execId: string | null, size: TerminalSize): Promise<void> {
    await this.#running(id).control.request(FRAME.resize, [
      [FIELD.execId, execId ?? undefined],
      [FIELD.width, size.width],
      [FIELD.height, size.height],
    ]);
  }

  async signal(id: string, signal: number, options: { all?: boolean } = {}): Promise<void> {
    const task = this.#running(id);
    const { cgroups, processes } = this.#context.kernel;
    if (options.all !== true) {
      if (!processes.signal(task.process, signal)) throw notRunning(id);
      return;
    }
    if (signal === SIGKILL) return killCgroup(this.#context, task.meta.cgroupPath);
    for (const pid of cgroups.processes(task.meta.cgroupPath)) {
      const identity = processes.identity(pid);
      if (identity !== null) processes.signal(identity, signal);
    }
  }

  async pids(id: string): Promise<number[]> {
    return [...this.#context.kernel.cgroups.processes(this.#running(id).meta.cgroupPath)];
  }

  async pause(id: string): Promise<void> {
    const task = this.#running(id);
    await this.#context.kernel.cgroups.freeze(task.meta.cgroupPath);
    task.paused = true;
  }

  async resume(id: string): Promise<void> {
    const task = this.#running(id);
    await this.#context.kernel.cgroups.thaw(task.meta.cgroupPath);
    task.paused = false;
  }

  async update(id: string, change: LimitChange): Promise<() => Promise<void>> {
    return await applyLimits(this.#context.kernel.cgroups, this.#running(id).meta.cgroupPath, change);
  }

  get(id: string): RunningTask | undefined {
    const task = this.#tasks.get(id);
    return task?.phase === 'running' ? task.snapshot() : undefined;
  }

  isExecRunning(id: string, execId: string): boolean {
    const exec = this.#tasks.get(id)?.execs.get(execId);
    return exec !== undefined && exec.pid > 0 && exec.exit === undefined;
  }

  execs(id: string): ExecState[] {
    return [...(this.#tasks.get(id)?.execs.values() ?? [])].filter((exec) => exec.pid > 0);
  }

  settled(id: string): Promise<void> {
    return this.#tasks.get(id)?.settled ?? Promise.resolve();
  }

  delete(id: string): Promise<void> {
    assert(ID.test(id), 'a task id names a directory');
    return this.#mutex.run(id, async () => {
      const task = this.#tasks.get(id);
      if (task?.phase === 'running') await this.#kill(task);
      await task?.settled;
      await removeTaskDirectory(this.#context, taskDirectory(this.#context, id));
      this.#tasks.delete(id);
    });
  }

  async #kill(task: LiveTask): Promise<void> {
    this.#context.kernel.processes.signal(task.process, SIGKILL);
    await killCgroup(this.#context, task.meta.cgroupPath);
    const late = new AbortController();
    const timeout = sleep(KILL_LIMIT_MS, 'late' as const, { signal: late.signal }).catch(
      () => 'late' as const,
    );
    const outcome = await Promise.race([task.ended, timeout]);
    late.abort();
    if (outcome === 'late')
      throw new EngineError('internal', `container ${task.id} does not end after SIGKILL`);
  }

  async reattach(): Promise<Map<string, RunningTask | EndedTask>> {
    const found = new Map<string, RunningTask | EndedTask>();
    for (const task of await reattachAll(this.#context)) {
      this.#tasks.set(task.id, task);
      const { pid, startedAtNanos } = task.process;
      const { exit } = task;
      found.set(task.id, exit === null ? task.snapshot() : { state: 'exited', pid, startedAtNanos, exit });
    }
    return found;
  }

  async close(): Promise<void> {
    this.#context.shims.close();
    for (const task of this.#tasks.values()) task.leave();
    for (const set of [...this.#waiting.values()]) for (const channel of [...set]) channel.finish();
  }
}

function notRunning(id: string): EngineError {
  return new EngineError('conflict', `container ${id} is not running`);
}

/** What shim, daemon and OCI runtime leave there as a rule. */
const USUAL_FILES =
  'task.json shim.pid shim.sock shim.log init init.pid exit execs execs.old config.json runtime.log seccomp ' +
  'merged';

/** In one trip to a thread, unless there is more in it. */
async function removeTaskDirectory({ kernel }: TaskContext, directory: string): Promise<void> {
  const entry = (kind: 'file' | 'directory', name: string) =>
    ({ kind, path: join(directory, name) }) as const;
  const isGone = await kernel.files.discard([
    ...USUAL_FILES.split(' ').map((name) => entry('file', name)),
    entry('directory', 'rootfs'),
    entry('directory', 'shm'),
    { kind: 'directory', path: directory },
  ]);
  if (!isGone) await rm(directory, { recursive: true, force: true });
}
