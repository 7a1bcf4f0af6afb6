import { closeSync } from 'node:fs';
import type { SpecProcess } from '#oci/runtime-spec.ts';
import { launchFailureText, validateProcess } from '#runtime/launch-plan.ts';
import { execPlan } from '#runtime/oci-launch.ts';
import { readJsonFile } from './bundle.ts';
import type { Context } from './context.ts';
import { consoleOf, writePidFile } from './create.ts';
import { attend } from './foreground.ts';
import { launch, type Launched } from './launcher.ts';
import { Failure } from './messages.ts';
import { processOfFlags } from './process-flags.ts';
import { type Saved, statusOf } from './state.ts';

const SIGKILL = 9;
const INIT_SLOT = 2;

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

async function launchExec(context: Context, saved: Saved, process_: SpecProcess): Promise<Launched> {
  const { kernel, flags } = context;
  const foreground = !flags.on('detach');
  const preserved = flags.number('preserve-fds') ?? 0;
  const terminal = process_.terminal ?? false;
  const console = consoleOf(flags.text('console-socket') ?? '', { terminal, foreground });
  const init = kernel.openProcess(saved);
  if (init === null) throw new Failure('cannot exec in a stopped container');
  try {
    const layout = kernel.cgroups().layout();
    const noKeyring = false;
    const plan = execPlan(saved.spec, process_, { id: saved.id, layout, preserved, noKeyring });
    const launched = await launch(kernel, {
      plan: plan.bytes,
      directory: saved.directory,
      slots: new Map([[INIT_SLOT, init]]),
      preserved,
      ...(console !== undefined && { console }),
      wait: foreground,
    });
    if ('failure' in launched) throw new Failure(launchFailureText(plan.plan, launched.failure, 'exec'));
    return launched;
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
