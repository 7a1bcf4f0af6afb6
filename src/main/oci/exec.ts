import { closeSync, readFileSync } from 'node:fs';
import type { SpecProcess } from '#oci/runtime-spec.ts';
import { launchFailureText, SLOT, validateProcess } from '#runtime/launch-plan.ts';
import { execPlan } from '#runtime/oci-launch.ts';
import { readJsonFile } from './bundle.ts';
import type { Context } from './context.ts';
import { consoleOf, writePidFile } from './create.ts';
import { attend } from './foreground.ts';
import { homeInside } from './home.ts';
import { type Console, FILTERS, launch, type Launched } from './launcher.ts';
import { Failure } from './messages.ts';
import { withOwnSize } from './own-terminal.ts';
import { processOfFlags } from './process-flags.ts';
import { type Saved, statusOf } from './state.ts';

const SIGKILL = 9;
const EBUSY = 16;

function processOf({ flags, words }: Context, saved: Saved): SpecProcess {
  const file = flags.text('process') ?? '';
  const [, ...args] = words;
  if (file !== '') return validateProcess(readJsonFile(file, 'process'));
  if (args.length === 0) throw new Failure('process args cannot be empty');
  const own = saved.spec.process;
  if (own === undefined) throw new Failure('process: the container has none that flags could change');
  return validateProcess(processOfFlags(flags, own, args));
}

function checkStatus({ kernel, flags }: Context, saved: Saved): void {
  const status = statusOf(kernel, saved);
  if (status === 'stopped' || status === 'creating') throw new Failure('cannot exec in a stopped container');
  if (status === 'paused' && !flags.on('ignore-paused')) {
    throw new Failure('cannot exec in a paused container (use --ignore-paused to override)');
  }
}

/** Where init is in the v2 hierarchy: a service manager inside has moved everybody to leaves. */
function cgroupOfInit(pid: number): string | undefined {
  return /^0::(\/.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))?.[1];
}

interface ExecRequest {
  readonly process: SpecProcess;
  readonly console: Console | undefined;
  /** pidfd. */
  readonly init: number;
  readonly initCgroup?: string;
}

async function launchOnce(context: Context, saved: Saved, request: ExecRequest): Promise<Launched | null> {
  const { kernel, flags } = context;
  const preserved = flags.number('preserve-fds') ?? 0;
  const { initCgroup, console } = request;
  const plan = execPlan(saved.spec, request.process, {
    id: saved.id,
    layout: kernel.cgroups().layout(),
    preserved,
    noKeyring: saved.noKeyring,
    filters: FILTERS,
    home: homeInside(kernel, request.process, saved.pid),
    ...(initCgroup !== undefined && { initCgroup }),
  });
  const launched = await launch(kernel, {
    plan: plan.bytes,
    directory: saved.directory,
    slots: new Map([[SLOT.init, request.init]]),
    preserved,
    ...(console !== undefined && { console }),
    wait: !flags.on('detach'),
  });
  if (!('failure' in launched)) return launched;
  const { errno, step } = launched.failure;
  if (errno === EBUSY && step === 'clone3' && initCgroup === undefined) return null;
  throw new Failure(launchFailureText(plan.plan, launched.failure, 'exec'));
}

async function launchExec(context: Context, saved: Saved, process_: SpecProcess): Promise<Launched> {
  const { kernel, flags } = context;
  const terminal = process_.terminal ?? false;
  const console = consoleOf(flags.text('console-socket') ?? '', {
    terminal,
    foreground: !flags.on('detach'),
  });
  const init = kernel.openProcess(saved);
  if (init === null) throw new Failure('cannot exec in a stopped container');
  const shown = console === 'here' ? withOwnSize(kernel, process_) : process_;
  const request = { process: shown, console, init };
  try {
    const launched = await launchOnce(context, saved, request);
    if (launched !== null) return launched;
    const initCgroup = cgroupOfInit(saved.pid) ?? saved.cgroup;
    const again = await launchOnce(context, saved, { ...request, initCgroup });
    if (again === null) throw new Failure('the cgroup of the container is busy');
    return again;
  } finally {
    closeSync(init);
  }
}

export async function exec(context: Context): Promise<number> {
  const { kernel, store, flags, words } = context;
  const saved = store.get(words[0] ?? '');
  if (flags.has('cgroup'))
    throw new Failure('--cgroup is not supported: the process joins the cgroup of the container');
  checkStatus(context, saved);
  const launched = await launchExec(context, saved, processOf(context, saved));
  const startTime = kernel.processes.identity(launched.pid)?.startTime ?? 0;
  const pidFile = flags.text('pid-file') ?? '';
  try {
    if (pidFile !== '') writePidFile(pidFile, launched.pid);
  } catch (error) {
    kernel.processes.signal({ pid: launched.pid, startTime }, SIGKILL);
    throw error;
  }
  if (flags.on('detach')) return 0;
  return attend(kernel, { ...launched, startTime }, () => Promise.resolve());
}
