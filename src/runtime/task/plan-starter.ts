import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from '#base/assert.ts';
import { EngineError, isEngineError } from '#base/errors.ts';
import {
  buildExecPlan,
  errnoText,
  type LaunchFailure,
  launchFailureText,
  type LaunchPlan,
  LISTS,
} from '../launch-plan.ts';
import { execError, startError, type StartError } from '../runc/errors.ts';
import type { OwnRuntime } from '../runtimes.ts';
import type { SeccompProgram } from '../seccomp/compile.ts';
import type { LaunchFacts } from '../shim/launch-facts.ts';
import { EXEC_FLAG, FIELD, type Fields, FRAME, PLAN_VERSION, START_FLAG } from '../shim/protocol.ts';
import { sized } from './bind-spec.ts';
import type { TaskContext } from './context.ts';
import type { LiveTask } from './live-task.ts';
import { hostContext, type StartPlan } from './start-plans.ts';
import type { ExecWork, StartCall, Starter, StartIntent, StartWork } from './starter.ts';

/** In the task directory: the filter that an exec gets, too, also from a later daemon. */
const FILTER = 'seccomp';
const EBUSY = 16;
const NO_FILTER = 'the system call filter of this container is not what it was started with';

/** Starts one process by a plan of our own, which the shim carries out. */
export function createPlanStarter(context: TaskContext, runtime: OwnRuntime): Starter {
  return new PlanStarter(context, runtime);
}

class PlanStarter implements Starter {
  readonly name: string;
  readonly assignFlags = 0;
  readonly takesNetworkLater = true;
  readonly shimVersion = PLAN_VERSION;
  readonly #context: TaskContext;
  /** The one that was sent: a failure names its operation by number. */
  #plan: LaunchPlan | null = null;
  #start: (Pick<StartPlan, 'bytes'> & { readonly filter: SeccompProgram | undefined }) | null = null;

  constructor(context: TaskContext, runtime: OwnRuntime) {
    this.name = runtime.name;
    this.#context = context;
  }

  stateOf(): string {
    return '';
  }

  /** The plan is there from here on: whatever speaks against a spec is said before anything is made. */
  async facts(intent: StartIntent): Promise<LaunchFacts> {
    const { spec, rootfsFd, knownTree } = intent.request;
    const bad = await this.#context.targets.bad(rootfsFd, spec.mounts, knownTree);
    if (bad !== null) throw startError(`runc create failed: ${bad}`, spec.process.args[0] ?? '');
    const { plan, bytes, filter } = this.#context.plans.of(intent);
    this.#plan = plan;
    this.#start = { bytes, filter };
    const { personality } = spec.linux;
    return {
      namespaces: (spec.linux.namespaces ?? []).map(({ type }) => type),
      ...(personality === undefined ? {} : { personality }),
      ...(filter === undefined ? {} : { seccomp: { flags: filter.flags, sha256: sha256(filter.program) } }),
    };
  }

  async start({ task, request }: StartWork): Promise<StartCall> {
    assert(this.#start !== null, 'facts come before a start');
    const { bytes, filter } = this.#start;
    if (filter !== undefined) writeFileSync(join(task.directory, FILTER), filter.program, { mode: 0o600 });
    task.filter = filter;
    const later = request.connectNetwork === undefined ? 0 : START_FLAG.networkLater;
    return callOf(bytes, request.terminal, later);
  }

  async startFailure(fields: Fields, { request }: StartWork): Promise<StartError> {
    // The name stands for the kind of runtime: clients match the reference's text.
    const reason = `runc create failed: ${this.#reason(fields, 'create')}`;
    return startError(reason, request.spec.process.args[0] ?? '');
  }

  #reason(fields: Fields, kind: 'create' | 'exec'): string {
    const failure = failureOf(fields);
    if (this.#plan !== null && failure.code > 0) return launchFailureText(this.#plan, failure, kind);
    const object = failure.object === '' ? '' : ` ${failure.object}`;
    return `unable to start container process: ${failure.step}${object}: ${errnoText(failure.errno)}`;
  }

  async exec(work: ExecWork): Promise<StartCall> {
    const call = this.#exec(work, this.#leafOfInit(work.task));
    return { ...call, flags: call.flags | EXEC_FLAG.askedAgain };
  }

  #exec({ task, request }: ExecWork, initCgroup: string | undefined): StartCall {
    const facts = task.meta.launch;
    if (facts === undefined) throw new EngineError('internal', `task ${task.id}: how it was started is lost`);
    const seccomp = (task.filter ??= readFilter(task.directory, facts));
    const process = sized(request.process, request);
    const target = { ...facts, cgroupsPath: task.meta.cgroupPath };
    const { plan, bytes } = task.execPlans.get(JSON.stringify([process, request.home, initCgroup]), () =>
      buildExecPlan(process, target, {
        id: task.id,
        ...hostContext(this.#context.kernel),
        ...(seccomp === undefined ? {} : { seccomp }),
        ...(request.home === undefined ? {} : { home: request.home }),
        ...(initCgroup === undefined ? {} : { initCgroup }),
      }),
    );
    this.#plan = plan;
    return callOf(bytes, request.terminal);
  }

  /** A service manager inside has moved everybody out of the container's cgroup: the exec follows init. */
  async execAgain(fields: Fields, work: ExecWork): Promise<StartCall | null> {
    const { list, step, errno } = failureOf(fields);
    if (list !== 'before' || step !== 'clone3' || errno !== EBUSY) return null;
    const path = this.#leafOfInit(work.task);
    return path === undefined ? null : this.#exec(work, path);
  }

  /**
   * Where init lives below the container's cgroup, when that hands out controllers and so takes no process.
   * Looked for before an exec is asked for: a refused one takes time.
   */
  #leafOfInit({ process, meta }: LiveTask): string | undefined {
    const { processes, cgroups } = this.#context.kernel;
    if (cgroups.version !== 'v2' || !processes.alive(process)) return undefined;
    const path = /^0::(\/.*)$/m.exec(cgroupsOf(process.pid))?.[1];
    if (path?.startsWith(`${meta.cgroupPath}/`) !== true) return undefined;
    const given = cgroups.read(meta.cgroupPath, '', 'cgroup.subtree_control') ?? '';
    return given.trim() === '' ? undefined : path;
  }

  async execFailure(fields: Fields, { request }: ExecWork): Promise<StartError> {
    return execError(`exec failed: ${this.#reason(fields, 'exec')}`, request.process.args[0] ?? '');
  }

  async cancelExec({ task, request }: ExecWork): Promise<void> {
    try {
      await task.control.request(FRAME.cancel, [[FIELD.execId, request.execId]]);
    } catch (error) {
      // It has come to an end by itself.
      if (!isEngineError(error, 'notFound') && !isEngineError(error, 'unavailable')) throw error;
    }
  }

  execDone(): void {
    // Nothing was needed but the plan.
  }
}

function callOf(bytes: Buffer, terminal: boolean, flags = 0): StartCall {
  return { fields: [[FIELD.plan, bytes]], flags: flags | (terminal ? START_FLAG.terminal : 0) };
}

function failureOf(fields: Fields): LaunchFailure {
  return {
    list: LISTS[fields.int(FIELD.list)] ?? '',
    index: fields.int(FIELD.index),
    code: fields.int(FIELD.code),
    errno: fields.int(FIELD.errno),
    status: fields.int(FIELD.waitStatus),
    step: fields.text(FIELD.message),
    object: fields.text(FIELD.object),
  };
}

/** Empty when the process is gone. */
function cgroupsOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cgroup`, 'utf8');
  } catch {
    return '';
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Errors: `internal` when it is missing or another one; a process without its filter is not started. */
function readFilter(directory: string, { seccomp }: LaunchFacts): SeccompProgram | undefined {
  if (seccomp === undefined) return undefined;
  const program = readFileSync(join(directory, FILTER));
  if (sha256(program) !== seccomp.sha256) throw new EngineError('internal', NO_FILTER);
  return { flags: seccomp.flags, program };
}
