import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { deniedCommand, execFailure, type RuntimeFailure, startFailure } from '../runc/errors.ts';
import { plainFileMounts } from '../runc/file-mounts.ts';
import type { OciRuntime } from '../runc/oci-runtime.ts';
import { stateFolder } from '../runtimes.ts';
import { writeJson } from '../shim/files.ts';
import { ASSIGN_FLAG, FIELD, type Fields, START_FLAG } from '../shim/protocol.ts';
import { NETNS_FD } from '../shim/spawn.ts';
import { bindSpec, sized } from './bind-spec.ts';
import type { TaskContext } from './context.ts';
import type { LiveTask } from './live-task.ts';
import type { ExecWork, StartCall, Starter, StartWork } from './starter.ts';
import { killRuntimeCall } from './stragglers.ts';

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
/** Long enough to be unique within a task, short enough for a socket's path. */
const STEM_LENGTH = 32;

const ERRNO_TEXT: Readonly<Record<number, string>> = {
  2: 'no such file or directory',
  13: 'permission denied',
};

interface ExecFiles {
  readonly processFile: string;
  readonly pidFile: string;
  readonly log: string;
  readonly consoleSocket: string;
}

function filesOf(execId: string): ExecFiles {
  const stem = `x${execId.slice(0, STEM_LENGTH)}`;
  return {
    processFile: `${stem}.json`,
    pidFile: `${stem}.pid`,
    log: `${stem}.log`,
    consoleSocket: `${stem}.sock`,
  };
}

/** Starts by runc, crun, or whatever else understands their command line: bundle in, pid file out. */
export function createOciStarter(context: TaskContext, runtime: OciRuntime): Starter {
  return new OciStarter(context, runtime);
}

class OciStarter implements Starter {
  readonly name: string;
  readonly assignFlags = ASSIGN_FLAG.ociRuntime;
  readonly takesNetworkLater = false;
  readonly shimVersion = 1;
  readonly #context: TaskContext;
  readonly #runtime: OciRuntime;
  readonly #root: string;

  constructor(context: TaskContext, runtime: OciRuntime) {
    this.name = runtime.name;
    this.#context = context;
    this.#runtime = runtime;
    this.#root = join(context.execRoot, 'runtimes', stateFolder(runtime.name));
  }

  stateOf(id: string): string {
    return join(this.#root, id);
  }

  async facts(): Promise<undefined> {
    return undefined;
  }

  async start({ task, request, open: openNamespace, shimPid }: StartWork): Promise<StartCall> {
    await rm(task.meta.runtimeState, { recursive: true, force: true });
    const shim = await shimPid();
    const bound = bindSpec(request, {
      open: openNamespace,
      netnsPath: request.netns === undefined ? undefined : `/proc/${shim}/fd/${NETNS_FD}`,
      shmPath: join(task.directory, SHM),
    });
    const mounts = await plainFileMounts(this.#context.kernel.files, bound.spec.mounts);
    const config = { ...bound.spec, mounts, ociVersion: READABLE_VERSION };
    await writeJson(join(task.directory, 'config.json'), config);
    const consoleSocket = request.terminal ? CONSOLE_SOCKET : undefined;
    const call = { root: this.#root, id: task.id, log: RUNTIME_LOG, pidFile: PID_FILE };
    const hide =
      this.#runtime.hidesUnifiedCgroup && this.#context.kernel.cgroups.version === 'hybrid'
        ? START_FLAG.hideUnifiedCgroup
        : 0;
    return {
      fields: [
        [
          FIELD.argv,
          this.#runtime.startArgv(consoleSocket === undefined ? call : { ...call, consoleSocket }),
        ],
        [FIELD.pidFile, PID_FILE],
        [FIELD.runtimeLog, RUNTIME_LOG],
        [FIELD.consoleSocket, consoleSocket],
        [FIELD.shmOf, bound.shmOf],
      ],
      flags: hide,
    };
  }

  async startFailure(fields: Fields, { request }: StartWork): Promise<ReturnType<typeof startFailure>> {
    const command = request.spec.process.args[0] ?? '';
    const failure = failureOf(fields, this.#runtime.path);
    const denied = deniedCommand(failure);
    const directory = denied !== null && (await isDirectory(this.#context, await request.rootfsFd, denied));
    return startFailure(failure, command, () => directory);
  }

  async exec({ task, request }: ExecWork): Promise<StartCall> {
    const { consoleSocket, ...files } = filesOf(request.execId);
    const call = { root: this.#root, id: task.id, ...files };
    const { terminal } = request;
    await writeJson(join(task.directory, files.processFile), sized(request.process, request));
    return {
      fields: [
        [FIELD.argv, this.#runtime.execArgv(terminal ? { ...call, consoleSocket } : call)],
        [FIELD.pidFile, files.pidFile],
        [FIELD.runtimeLog, files.log],
        [FIELD.consoleSocket, terminal ? consoleSocket : undefined],
      ],
      flags: 0,
    };
  }

  async execFailure(fields: Fields, { task, request }: ExecWork): Promise<ReturnType<typeof execFailure>> {
    const command = request.process.args[0] ?? '';
    const failure = failureOf(fields, this.#runtime.path);
    const denied = deniedCommand(failure);
    const directory = denied !== null && (await inContainer(this.#context, task, denied));
    return execFailure(failure, command, () => directory);
  }

  async execAgain(): Promise<null> {
    return null;
  }

  /** An OCI runtime that hangs in the container's tree would stay until the container ends. */
  async cancelExec({ task, request }: ExecWork): Promise<void> {
    const { directory, meta } = task;
    const { processFile } = filesOf(request.execId);
    await killRuntimeCall(this.#context, { directory, cgroupPath: meta.cgroupPath }, processFile);
  }

  execDone({ task, request }: ExecWork): void {
    const { processFile, pidFile, log } = filesOf(request.execId);
    for (const name of [processFile, pidFile, log])
      void rm(join(task.directory, name), { force: true }).catch(() => undefined);
  }
}

function failureOf(fields: Fields, runtimePath: string): RuntimeFailure {
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
async function isDirectory(
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

async function inContainer(context: TaskContext, task: LiveTask, path: string): Promise<boolean> {
  try {
    await using root = await open(`/proc/${task.process.pid}/root`, 'r');
    // The root was opened by number: it counts only if the number still means this process.
    return context.kernel.processes.alive(task.process) && (await isDirectory(context, root.fd, path));
  } catch {
    return false;
  }
}
