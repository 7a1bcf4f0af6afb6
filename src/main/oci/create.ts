import { closeSync, openSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { errorMessage } from '#base/errors.ts';
import { OCI_RUNTIME_VERSION, type RuntimeSpec } from '#oci/runtime-spec.ts';
import { launchFailureText, validateSpec } from '#runtime/launch-plan.ts';
import { containerPlan, type EncodedPlan } from '#runtime/oci-launch.ts';
import { badMountTarget } from '#runtime/mount-targets.ts';
import { readBundle } from './bundle.ts';
import type { Context } from './context.ts';
import { containerId } from './context.ts';
import { destroy } from './delete.ts';
import { homeOf, originOf } from './home.ts';
import { type Console, FILTERS, launch, type Launched } from './launcher.ts';
import { Failure } from './messages.ts';
import { fifoOf, type Saved, type Store } from './state.ts';

export interface Creation {
  /** The caller stays with the process: the terminal is shown here, the launcher waits. */
  readonly foreground: boolean;
}

export interface Created {
  readonly saved: Saved;
  readonly launched: Launched;
  /** Ends the container's lock. */
  readonly release: () => void;
}

const FIFO_MODE = 0o622;
const SIGKILL = 9;

/** RFC 3339 with nanoseconds, as callers expect it. */
function now(): string {
  const fraction = String(process.hrtime.bigint() % 1_000_000n).padStart(6, '0');
  return new Date().toISOString().replace(/Z$/, `${fraction}Z`);
}

/** Where the cgroup is in all hierarchies; a relative path begins at their top, too. */
export function cgroupOf(spec: RuntimeSpec, id: string): string {
  const given = spec.linux?.cgroupsPath ?? '';
  if (/^[^/]+\.slice:/.test(given)) {
    throw new Failure(
      `linux.cgroupsPath: ${JSON.stringify(given)} is for the systemd cgroup driver, which is not supported`,
    );
  }
  const path = given === '' ? `/${id}` : given;
  return resolve('/', path);
}

/** The terminal's other side goes to a socket of the caller, or comes here. */
export function consoleOf(
  socket: string,
  { terminal, foreground }: { readonly terminal: boolean; readonly foreground: boolean },
): Console | undefined {
  if (terminal && !foreground && socket === '') {
    throw new Failure('cannot allocate tty if runc will detach without setting console socket');
  }
  if (socket !== '' && !terminal)
    throw new Failure('cannot use console socket if runc will not detach or allocate tty');
  if (!terminal) return undefined;
  return socket === '' ? 'here' : { path: resolve(socket) };
}

/** In one step: who waits for the file never reads half a number. */
export function writePidFile(path: string, pid: number): void {
  const staged = join(dirname(path), `.${path.split('/').pop() ?? 'pid'}.${process.pid}`);
  writeFileSync(staged, String(pid), { mode: 0o644 });
  renameSync(staged, path);
}

/** Descriptors handed over by whoever activates sockets come first, then those that the caller counts. */
function preservedOf(context: Context): { readonly count: number; readonly env: readonly string[] } {
  const listening = context.kernel.sockets.inherited().length;
  const count = listening + (context.flags.number('preserve-fds') ?? 0);
  return { count, env: listening === 0 ? [] : [`LISTEN_FDS=${listening}`, 'LISTEN_PID=1'] };
}

function makeFifo(kernel: Context['kernel'], directory: string): void {
  const root = openSync(directory, 'r');
  try {
    kernel.files.mknod(root, 'exec.fifo', { type: 'fifo', mode: FIFO_MODE });
  } finally {
    closeSync(root);
  }
}

/** A cgroup with somebody in it belongs to them: it is joined, and stays when the container goes. */
function ownsCgroup(kernel: Context['kernel'], path: string): boolean {
  if (path === '/') return false;
  const cgroups = kernel.cgroups();
  return !cgroups.exists(path) || cgroups.processes(path).length === 0;
}

function rootOf(spec: RuntimeSpec, bundle: string): string {
  const path = spec.root?.path ?? '';
  const rootfs = isAbsolute(path) ? path : join(bundle, path);
  const found = statSync(rootfs, { throwIfNoEntry: false });
  if (found === undefined)
    throw new Failure(`root.path: invalid rootfs: stat ${rootfs}: no such file or directory`);
  if (!found.isDirectory()) throw new Failure(`root.path: invalid rootfs: ${rootfs} is not a directory`);
  return rootfs;
}

function refuseBadTargets(kernel: Context['kernel'], { mounts = [] }: RuntimeSpec, rootfs: string): void {
  const root = kernel.files.openRoot(rootfs);
  try {
    const bad = badMountTarget(kernel.files, root, mounts);
    if (bad !== null) throw new Failure(bad);
  } finally {
    closeSync(root);
  }
}

interface Request {
  readonly spec: RuntimeSpec;
  readonly bundle: string;
  readonly rootfs: string;
  readonly plan: EncodedPlan;
  readonly preserved: number;
  readonly console: Console | undefined;
  readonly foreground: boolean;
}

/** Where the host has a procfs or a sysfs as a whole. */
function wholeSystems(kernel: Context['kernel'], rootfs: string): string[] {
  return kernel
    .mountTable()
    .filter(({ root, type }) => root === '/' && (type === 'proc' || type === 'sysfs'))
    .map(({ mountPoint }) => mountPoint)
    .filter((path) => !`${path}/`.startsWith(`${rootfs}/`));
}

/** The bundle is read and checked whole before anything is made. */
function requestOf(context: Context, { foreground }: Creation): Request {
  const { kernel, flags, store } = context;
  const { bundle, config } = readBundle(flags.text('bundle'));
  const checked = validateSpec(config);
  const { count, env } = preservedOf(context);
  const before = checked.process;
  const terminal = before?.terminal ?? false;
  const console = consoleOf(flags.text('console-socket') ?? '', { terminal, foreground });
  const id = containerId(context);
  const spec: RuntimeSpec = {
    ...checked,
    ...(before !== undefined && { process: { ...before, env: [...(before.env ?? []), ...env] } }),
    linux: { ...checked.linux, cgroupsPath: cgroupOf(checked, id) },
  };
  const rootfs = rootOf(spec, bundle);
  const origin = originOf(spec, rootfs, bundle);
  const plan = containerPlan(spec, {
    id,
    home: origin === null ? undefined : homeOf(kernel, spec.process, origin),
    bundle,
    rootfs,
    layout: kernel.cgroups().layout(),
    startFifo: fifoOf(resolve(store.directory(id))),
    noPivot: flags.on('no-pivot') ? { hide: wholeSystems(kernel, rootfs) } : undefined,
    noKeyring: flags.on('no-new-keyring'),
    preserved: count,
    filters: FILTERS,
  });
  refuseBadTargets(kernel, spec, rootfs);
  return { spec, bundle, rootfs, plan, preserved: count, console, foreground };
}

function stateOf(context: Context, request: Request, directory: string): Saved {
  const { kernel } = context;
  const { spec, bundle, rootfs } = request;
  const cgroup = spec.linux?.cgroupsPath ?? '/';
  const creator = kernel.processes.identity(process.pid);
  return {
    version: 1,
    ociVersion: OCI_RUNTIME_VERSION,
    id: containerId(context),
    pid: 0,
    startTime: 0,
    ...(creator !== null && { creator }),
    bundle,
    rootfs,
    created: now(),
    owner: process.getuid?.() ?? 0,
    cgroup,
    ownsCgroup: ownsCgroup(kernel, cgroup),
    noKeyring: context.flags.on('no-new-keyring'),
    spec,
    directory,
  };
}

async function launchInto(
  context: Context,
  request: Request,
  state: Saved,
): Promise<{ saved: Saved; launched: Launched }> {
  const { kernel, store, flags } = context;
  const { plan } = request;
  const launched = await launch(kernel, {
    plan: plan.bytes,
    directory: state.directory,
    slots: new Map(),
    preserved: request.preserved,
    ...(request.console !== undefined && { console: request.console }),
    wait: request.foreground,
  });
  if ('failure' in launched) throw new Failure(launchFailureText(plan.plan, launched.failure, 'create'));
  const startTime = kernel.processes.identity(launched.pid)?.startTime ?? 0;
  const { creator: _creator, ...rest } = state;
  const saved = { ...rest, pid: launched.pid, startTime };
  try {
    store.save(saved);
    const pidFile = flags.text('pid-file') ?? '';
    if (pidFile !== '') writePidFile(pidFile, launched.pid);
  } catch (error) {
    kernel.processes.signal(saved, SIGKILL);
    throw error;
  }
  return { saved, launched };
}

async function undo(context: Context, state: Saved): Promise<void> {
  const spec = { ...state.spec, hooks: {} };
  await destroy(context, { ...state, spec }).catch((error: unknown) => {
    context.messages.warn(`what was made for ${state.id} could not be removed: ${errorMessage(error)}`);
  });
}

/** Makes the container; its process waits for `release` of start.ts. The caller has its lock afterwards. */
export async function createContainer(context: Context, creation: Creation): Promise<Created> {
  const { kernel, store } = context;
  const id = containerId(context);
  refuseTaken(store, id);
  const request = requestOf(context, creation);
  const { directory, release } = await store.reserve(id);
  let state: Saved | undefined;
  try {
    state = stateOf(context, request, directory);
    store.save(state);
    makeFifo(kernel, directory);
    return { ...(await launchInto(context, request, state)), release };
  } catch (error) {
    if (state === undefined) rmSync(directory, { recursive: true, force: true });
    else await undo(context, state);
    release();
    throw error;
  }
}

/** The name is checked before the bundle is read; `reserve` decides. */
function refuseTaken(store: Store, id: string): void {
  if (statSync(store.directory(id), { throwIfNoEntry: false }) !== undefined) {
    throw new Failure('container with given ID already exists');
  }
}

export async function create(context: Context): Promise<void> {
  const { release } = await createContainer(context, { foreground: false });
  release();
}
