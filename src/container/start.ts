import * as messages from '#api/messages.ts';
import { rfc3339Nano } from '#base/clock.ts';
import { EngineError, errorMessage, isEngineError } from '#base/errors.ts';
import { PLAIN_FILES } from '#base/file-steps.ts';
import { Rollback } from '#base/rollback.ts';
import { join } from 'node:path';
import type { Sandbox } from '#network/model.ts';
import type { ContainerSpec, SpecInput } from '#runtime/spec.ts';
import { buildRuntimeSpec } from '#runtime/spec.ts';
import type { LogFile, RunningTask } from '#runtime/task.ts';
import type { ResolvedUser } from '#runtime/user.ts';
import type { RootfsHandle } from '#storage/snapshotter.ts';
import { logRotation } from './normalize/logging.ts';
import { joined } from './normalize/modes.ts';
import type { ContainerRecord } from './record.ts';
import type { Entry } from './record/ledger.ts';
import { removeLocked } from './remove.ts';
import { tell, type Room } from './room.ts';
import { classifyStartFailure } from './start/failure.ts';
import {
  findInput,
  findMachine,
  lookUpUser,
  type MachineFindings,
  taskOf,
  userWish,
} from './start/findings.ts';
import { unlessGivenUp } from './start/give-up.ts';
import { findJoined, type Joined } from './start/joined.ts';
import { type NetworkFileSources, networkFileSteps } from './start/network-files.ts';
import { prepareTree } from './start/tree.ts';
import { openNamespace, type StartNamespace } from './start/user-namespace.ts';
import { transition } from './state.ts';

/**
 * No flush; two with a restart policy the first time. Errors: the reference's texts; everything is undone
 * then.
 */
export async function startContainer(room: Room, reference: string): Promise<void> {
  await room.ledger.locked(reference, async (entry) => {
    if (entry.removing) throw new EngineError('conflict', messages.startMarkedForRemoval());
    transition(entry.record, 'start');
    entry.restartDelayMs = 0;
    if (entry.record.restartCount !== 0) entry.record = { ...entry.record, restartCount: 0 };
    await runLocked(room, entry);
  });
}

/**
 * Starts under the container's lock. A container that is removed after its exit is removed after a failed
 * start, too.
 */
export async function runLocked(room: Room, entry: Entry): Promise<void> {
  const { ledger, deps } = room;
  if (entry.restartTimer !== null) clearTimeout(entry.restartTimer);
  entry.restartTimer = null;
  entry.stopRequested = false;
  entry.hasOomNotice = false;
  const before = entry.record;
  const restarts = before.hostConfig.RestartPolicy.Name !== 'no';
  entry.starting = new AbortController();
  try {
    entry.phase = 'starting';
    const task = await launch(room, entry, entry.starting.signal);
    ledger.setState(entry, {
      status: transition(entry.record, 'started'),
      pid: task.pid,
      exitCode: 0,
      oomKilled: false,
      error: '',
      startedAt: rfc3339Nano(task.startedAtNanos),
    });
    entry.record = { ...entry.record, hasBeenStarted: true, manuallyStopped: false };
    await ledger.writeRunning(entry, 'running', deps.facts.bootId);
    tell(room, entry, { action: 'start' });
  } catch (error) {
    throw await failed(room, entry, error);
  } finally {
    entry.starting = null;
  }
  // After a power cut the policy acts only on what is known to have been started.
  if (restarts && (!before.hasBeenStarted || before.manuallyStopped)) await ledger.commit(entry);
  else ledger.commitSoon(entry);
}

async function failed(room: Room, entry: Entry, cause: unknown): Promise<EngineError> {
  const { ledger, deps } = room;
  const { exitCode, error } = classifyStartFailure(cause);
  entry.sandbox = null;
  const { status } = entry.record.state;
  ledger.setState(entry, {
    status: status === 'restarting' ? 'exited' : status,
    pid: 0,
    exitCode,
    error: error.message,
  });
  entry.record = { ...entry.record, hasBeenStarted: true };
  entry.phase = 'ended';
  await ledger.forgetRunning(entry);
  ledger.commitSoon(entry);
  // Between two runs of a policy the container counted as running for who waits.
  if (status === 'restarting')
    for (const notify of [...entry.onEnd]) notify({ exitCode, error: error.message });
  if (entry.record.hostConfig.AutoRemove) {
    await removeLocked(room, entry, { volumes: true, flushed: false }).catch((reason: unknown) =>
      deps.log.error('a container could not be removed after its failed start', {
        id: entry.record.id,
        reason: errorMessage(reason),
      }),
    );
  }
  return error;
}

async function launch(room: Room, entry: Entry, cancel: AbortSignal): Promise<RunningTask> {
  const namespace = await openNamespace(room.deps, entry.record);
  try {
    return await launchIn(room, entry, { cancel, namespace });
  } finally {
    namespace.close();
  }
}

interface How {
  readonly cancel: AbortSignal;
  readonly namespace: StartNamespace;
}

/** Network and file tree side by side, then the task. Undoes itself. */
async function launchIn(room: Room, entry: Entry, { cancel, namespace }: How): Promise<RunningTask> {
  const { deps, ledger } = room;
  const joinedIds = findJoined(ledger, entry.record);
  if (joinedIds.network !== null) takeHostname(entry, ledger.byId(joinedIds.network)?.record);
  const { record } = entry;
  await using rollback = new Rollback((error) =>
    deps.log.warn('undoing a start failed', { id: record.id, reason: errorMessage(error) }),
  );
  const log = logFile(room, record);
  const directory = ledger.store.directoryOf(joinedIds.network ?? record.id);
  deps.volumes.mounted(record.id, record.mounts);
  rollback.push(() => deps.volumes.unmounted(record.id, record.mounts));
  entry.sandbox = null;
  // First of all: to open it takes longer than anything else here.
  const opening = deps.snapshots.rootfs(record.id, namespace.shift ?? undefined);
  void namespace.during(Promise.allSettled([opening.then(({ fd }) => fd)]));
  const root = await unlessGivenUp(opening, cancel, (late) => void late.close());
  const work = prepareTask(room, record, { namespace, joinedIds, root });
  rollback.push(async () => {
    // Whoever works in the tree may not find another one's under the same number.
    const closed = Promise.allSettled([work]).then(() => root.close());
    closed.catch(() => undefined);
    // What was given up may hang there for ever.
    if (!cancel.aborted) await closed;
  });
  const network = prepareNetwork(room, entry, { namespace, directory });
  network.catch(() => undefined);
  if (joinedIds.network === null) {
    rollback.push(async () => {
      await network.then(({ files }) => files).catch(() => undefined);
      await deps.networks.sandbox.release(record.id);
    });
  }
  void namespace.during(Promise.allSettled([network.then(({ files }) => files), work]));
  const { input, spec } = await unlessGivenUp(work, cancel);
  const isOwn = hasOwnNetwork(record);
  const { sandbox, files } = await network;
  const netns = isOwn ? (sandbox?.netnsFd ?? null) : null;
  const task = await deps.tasks.start({
    ...taskOf(room, record, input),
    spec,
    rootfsFd: root.fd,
    ...(root.isUntouched && record.chainId !== null && { knownTree: record.chainId }),
    ...(netns !== null && { netns }),
    ...(isOwn && { connectNetwork: () => connectNetwork(deps, record.id) }),
    ...(namespace.shift !== null && { usernsFd: namespace.shift.userns }),
    sourcesReady: files,
    heldPorts: sandbox?.heldPorts ?? [],
    cancel,
    openStdin: record.config.OpenStdin,
    stdinOnce: record.config.StdinOnce,
    log,
  });
  rollback.commit();
  if (joinedIds.network === null) deps.networks.sandbox.handedOver(record.id, task.pid);
  // The shim has the tree, too: this is not the close that writes it back, so nobody waits for it.
  root.close().catch(() => undefined);
  return task;
}

function hasOwnNetwork({ hostConfig: { NetworkMode } }: ContainerRecord): boolean {
  return NetworkMode !== 'host' && joined(NetworkMode) === null;
}

interface TaskParts {
  readonly namespace: StartNamespace;
  readonly joinedIds: Joined;
  readonly root: RootfsHandle;
}

interface PreparedTask {
  readonly input: SpecInput;
  readonly spec: ContainerSpec;
}

/** The container's spec, which asks the tree for users. */
async function prepareTask(room: Room, record: ContainerRecord, parts: TaskParts): Promise<PreparedTask> {
  const { joinedIds } = parts;
  // None of it asks the tree.
  const gathering = gather(room, record);
  gathering.catch(() => undefined);
  const user = await prepareRoot(room, record, parts);
  const input = findInput(room, record, { user, joinedIds, ...(await gathering) });
  return { input, spec: room.drafts.take(record.id, input) ?? buildRuntimeSpec(input) };
}

/** Missing bind sources are made, the others checked again. */
async function gather({ deps }: Room, { hostConfig, mounts }: ContainerRecord): Promise<MachineFindings> {
  const [found] = await Promise.all([findMachine(hostConfig), deps.volumes.prepareSources(mounts)]);
  return found;
}

/** In a joined network a container has the other one's name, and shows it from then on. */
function takeHostname(entry: Entry, donor: ContainerRecord | undefined): void {
  if (donor === undefined) return;
  const { Hostname, Domainname } = donor.config;
  entry.record = { ...entry.record, config: { ...entry.record.config, Hostname, Domainname } };
}

function logFile(room: Pick<Room, 'ledger'>, record: ContainerRecord): LogFile | null {
  const { LogConfig } = record.hostConfig;
  if (LogConfig.Type !== 'json-file') return null;
  try {
    return {
      path: join(room.ledger.store.directoryOf(record.id), `${record.id}-json.log`),
      ...logRotation(LogConfig),
    };
  } catch (error) {
    throw new EngineError(
      'internal',
      messages.createTaskFailed(`failed to initialize logging driver: ${errorMessage(error)}`),
    );
  }
}

interface PreparedNetwork {
  /** Null when another container's network is joined. */
  readonly sandbox: Sandbox | null;
  /** Resolves when its files are written. */
  readonly files: Promise<void>;
}

/** The intent; addresses and a namespace, still empty; and the files that go with them. */
async function prepareNetwork(
  room: Room,
  entry: Entry,
  parts: { readonly namespace: StartNamespace; readonly directory: string },
): Promise<PreparedNetwork> {
  const { namespace, directory } = parts;
  const { record } = entry;
  const { hostConfig: host, config } = record;
  const { deps } = room;
  const { shift, root: owner } = namespace;
  const mode = host.NetworkMode;
  if (joined(mode) !== null) {
    await room.ledger.writeRunning(entry, 'starting', deps.facts.bootId);
    return { sandbox: null, files: Promise.resolve() };
  }
  if (mode !== 'bridge' && mode !== 'host' && mode !== 'none') {
    deps.networks.inspect(mode);
    throw new EngineError(
      'notImplemented',
      `network ${mode}: only bridge, host and none are available in this engine`,
    );
  }
  const wish = record.networks[mode];
  const isOnBridge = mode === 'bridge';
  const sandbox = await deps.networks.sandbox
    .prepare({
      containerId: record.id,
      name: record.name,
      mode,
      ...(shift !== null && { userns: shift.userns }),
      endpoint: {
        ipv4Address: wish?.IPAMConfig?.IPv4Address,
        ipv6Address: wish?.IPAMConfig?.IPv6Address,
        macAddress: wish?.MacAddress || undefined,
      },
      portBindings: isOnBridge ? portsOf(host) : undefined,
      exposedPorts: isOnBridge ? Object.keys(config.ExposedPorts ?? {}) : undefined,
      publishAll: isOnBridge && host.PublishAllPorts,
    })
    .catch((error: unknown) => {
      throw networkFailure(error);
    });
  entry.sandbox = deps.networks.sandbox.facts(record.id) ?? null;
  // The intent before the kernel has anything of it that others see.
  await room.ledger.writeRunning(entry, 'starting', deps.facts.bootId);
  return { sandbox, files: writeNetworkFiles(room, record, { sandbox, directory, owner }) };
}

/** Begins at once; who does not wait is told nothing. */
function writeNetworkFiles(
  { deps }: Room,
  record: ContainerRecord,
  parts: Pick<NetworkFileSources, 'sandbox' | 'directory' | 'owner'>,
): Promise<void> {
  const steps = networkFileSteps({
    ...parts,
    record,
    settings: deps.settings,
    hostGateway: deps.networks.hostGateway(),
  });
  const files = (deps.files ?? PLAIN_FILES).carryOut(steps).catch((error: unknown) => {
    throw networkFailure(error);
  });
  files.catch(() => undefined);
  return files;
}

async function connectNetwork({ networks }: Room['deps'], id: string): Promise<void> {
  await networks.sandbox.connect(id).catch((error: unknown) => {
    throw networkFailure(error);
  });
}

function networkFailure(error: unknown): EngineError {
  const message = errorMessage(error);
  const kind = isEngineError(error) ? error.kind : 'internal';
  const isKnown = message.startsWith('failed to set up container networking') || kind === 'notFound';
  if (isKnown && isEngineError(error)) return error;
  return new EngineError(kind, messages.networkSetupFailed(message), { cause: error });
}

function portsOf(
  host: ContainerRecord['hostConfig'],
): Record<string, { hostIp: string; hostPort: string }[] | null> {
  return Object.fromEntries(
    Object.entries(host.PortBindings ?? {}).map(([port, list]) => [
      port,
      list?.map((b) => ({ hostIp: b.HostIp, hostPort: b.HostPort })) ?? null,
    ]),
  );
}

/** The container's tree: its user looked up in it, its working directory made. */
async function prepareRoot(
  room: Pick<Room, 'deps' | 'imageTrees'>,
  record: ContainerRecord,
  { root, namespace }: Pick<TaskParts, 'root' | 'namespace'>,
): Promise<ResolvedUser> {
  const { tree } = room.deps;
  const known = root.isUntouched ? room.imageTrees.of(record.chainId ?? '', tree) : tree;
  const user = await lookUpUser(known, root.fd, userWish(record));
  await prepareTree(known, root.fd, {
    workingDir: record.config.WorkingDir,
    // A layer below has it all, as long as nobody has written into this one.
    isFirst: !record.hasBeenStarted && !root.isUntouched,
    owner: namespace.root,
  });
  return user;
}
