import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { nowNanos, systemClock } from '#base/clock.ts';
import { EngineError, errorMessage } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import type { ContainerService } from '#container/container-service.ts';
import type { MachineFacts, UserNamespacePort } from '#container/ports.ts';
import { createContainerService } from '#container/service.ts';
import type { Kernel } from '#host/kernel.ts';
import { createKernel, packageRoot } from '#host/real.ts';
import { sealProgram } from '#host/sealed-program.ts';
import type { ImageService } from '#image/image-service.ts';
import { openImageService } from '#image/open.ts';
import { createNetworkService } from '#network/network-service.ts';
import type { NetworkService } from '#network/service.ts';
import { createRegistryClient } from '#registry/open.ts';
import type { RegistryClient } from '#registry/client.ts';
import { defaultApparmorProfile } from '#runtime/apparmor.ts';
import { hostPlatform, type Platform } from '#oci/platform.ts';
import { readHostFacts } from '#runtime/host-facts.ts';
import { probeVersion, Runtimes, type RuntimeVersion } from '#runtime/runtimes.ts';
import { createTaskService, runningRoot } from '#runtime/task-service.ts';
import type { TaskService } from '#runtime/task.ts';
import { openStorage, type Storage } from '#storage/storage.ts';
import type { VolumeService } from '#volume/service.ts';
import { createVolumeService } from '#volume/volume-service.ts';
import type { DaemonConfig } from './config.ts';
import { findInit, findRuntimes } from './config/supported.ts';
import { createEventsService, type EventsService } from './events.ts';
import type { LiveSettings } from './live-settings.ts';
import { withNetworkEvents } from './network-events.ts';
import { ENGINE_VERSION, GANTRY_VERSION } from './product.ts';
import { createRootTree } from './root-tree.ts';
import type { Backends } from './server/backends.ts';
import { createSystemBackend } from './system-info.ts';
import { openUserNamespaces } from './user-namespaces.ts';

/** Ready for the next start; about 30 kB. A burst of starts makes the others itself. */
const SPARE_SHIMS = 1;

export interface Engine {
  readonly backends: Backends;
  /** Takes over what ran on; before the first request. */
  restore(): Promise<void>;
  /** Starts what its restart policy wants to run. Does not wait. */
  startByPolicy(): void;
  /** Does once, at a quiet time, what would hold up the first pull. */
  rehearse(): void;
  /** An event for whoever listens. */
  tellReload(attributes: Readonly<Record<string, string>>): void;
  /** Lets go of everything; containers run on. */
  close(): Promise<void>;
}

export interface WireOptions {
  readonly config: DaemonConfig;
  readonly live: LiveSettings;
  readonly kernel: Kernel;
  readonly instance: string;
  readonly log: Log;
}

export function shimPath(): string {
  return join(packageRoot(), 'dist/native/gantry-shim');
}

export function openKernel(): Kernel {
  return createKernel({ shim: shimPath() });
}

function runtimesOf(config: DaemonConfig): Runtimes {
  return new Runtimes({
    definitions: { ...findRuntimes(), ...config.runtimes },
    defaultName: config.defaultRuntime,
    ownPath: join(packageRoot(), 'bin/gantry-oci'),
  });
}

/** A profile that cannot be loaded is said loudly and costs no container: '' runs them without one. */
async function apparmorDefault({ kernel, config, log }: WireOptions): Promise<string | undefined> {
  try {
    return (await defaultApparmorProfile(kernel, config.execRoot)) ?? undefined;
  } catch (error) {
    const hint = error instanceof EngineError ? error.hint : undefined;
    log.warn(errorMessage(error), hint === undefined ? {} : { hint });
    return '';
  }
}

function machineFacts(kernel: Kernel, apparmor: string | undefined): MachineFacts {
  const facts = kernel.system.facts();
  const v2 = kernel.cgroups.version === 'v2';
  const weight = v2
    ? kernel.cgroups.controllers.includes('io')
    : kernel.cgroups.read('/', 'blkio', 'blkio.weight') !== null;
  return {
    cpus: facts.cpus,
    cgroupVersion: v2 ? 2 : 1,
    hasBlkioWeight: weight,
    hostname: facts.hostname,
    bootId: facts.bootId,
    platform: {
      ...hostPlatform(),
      ...(!['', 'v1'].includes(facts.processorLevel) && { variant: facts.processorLevel }),
    },
    spec: readHostFacts(kernel),
    ...(apparmor !== undefined && { apparmor }),
  };
}

/** Asks runc, where it is installed, once, and not before somebody wants to know: it takes milliseconds. */
function versionProbe({ kernel, config }: WireOptions, runtimes: Runtimes): () => Promise<RuntimeVersion> {
  const asked: { answer?: Promise<RuntimeVersion> } = {};
  const ask = async (): Promise<RuntimeVersion> =>
    runtimes.has('runc')
      ? probeVersion(kernel, runtimes.get('runc'), config.execRoot)
      : { version: '', commit: '' };
  return () => (asked.answer ??= ask());
}

function emitters(events: EventsService): Pick<Parameters<typeof createContainerService>[0], 'emit'> {
  return { emit: ({ timeNanos, ...event }) => events.emit({ type: 'container', ...event, timeNanos }) };
}

/**
 * The one place where services are constructed. Two questions point upward (who uses an image, who hears of
 * an exit): they are closures over the container service, which exists before anybody can ask.
 */
export async function wire(options: WireOptions): Promise<Engine> {
  const { config, kernel, instance, log } = options;
  await mkdir(config.execRoot, { recursive: true, mode: 0o711 });
  const events = createEventsService();
  const runtimes = runtimesOf(config);
  const facts = machineFacts(kernel, await apparmorDefault(options));
  const userNamespaces = await openUserNamespaces(options);
  const storage = await openContent(options, facts.bootId);
  const later: { containers?: ContainerService } = {};
  const containersNow = (): ContainerService => {
    if (later.containers === undefined) throw new Error('the container service is asked before it exists');
    return later.containers;
  };
  const registry = openRegistry(options);
  const { platform } = facts;
  const images = await openImages({ options, storage, registry, platform, events, containersNow });
  const networks = openNetworks(options, events);
  const volumes = openVolumes(options, events, userNamespaces);
  const tasks = openTasks({ options, runtimes, containersNow });
  const containers = createContainerService({
    settings: containerSettings(config, runtimes),
    facts,
    images,
    networks,
    volumes,
    tasks,
    snapshots: storage.snapshotter,
    tree: createRootTree(kernel.files),
    treeReader: storage.trees,
    ...(userNamespaces !== null && { userNamespaces }),
    files: kernel.files,
    clock: systemClock,
    log: log.with({ room: 'container' }),
    ...emitters(events),
  });
  later.containers = containers;
  const system = createSystemBackend({
    config,
    live: options.live,
    kernel,
    instance,
    containers,
    images,
    networks,
    volumes,
    storage,
    runtimes,
    remapsIds: userNamespaces !== null,
    runtimeVersion: versionProbe(options, runtimes),
    listeners: () => events.listeners(),
  });
  return {
    backends: { containers, execs: containers, images, networks, volumes, system, events },
    restore: () => restore({ containers, networks, volumes, log }),
    startByPolicy: () => startByPolicy(containers, log),
    tellReload: (attributes) =>
      events.emit({ type: 'daemon', action: 'reload', id: instance, attributes, timeNanos: nowNanos() }),
    rehearse: () => storage.rehearse(),
    async close() {
      await containers.close();
      await tasks.close();
      await networks.close();
      registry.close();
      await storage.close();
    },
  };
}

function openContent({ config, kernel, log }: WireOptions, bootId: string): Promise<Storage> {
  return openStorage({
    root: config.dataRoot,
    kernel,
    bootId,
    snapshotter: config.storageDriver,
    runningRoot: (id) => runningRoot(config.execRoot, id),
    log: log.with({ room: 'storage' }),
  });
}

function openNetworks({ config, kernel, instance, log }: WireOptions, events: EventsService): NetworkService {
  const { dataRoot, execRoot } = config;
  const networks = createNetworkService({
    kernel,
    log: log.with({ room: 'network' }),
    settings: { instance, dataRoot, execRoot, ...config.network },
  });
  return withNetworkEvents(networks, events);
}

function startByPolicy(containers: ContainerService, log: Log): void {
  const failed = (error: unknown): void => log.error('restart policies failed', { error: String(error) });
  containers.startByPolicy().catch(failed);
}

function openVolumes(
  { config, kernel, log }: WireOptions,
  events: EventsService,
  userNamespaces: UserNamespacePort | null,
): VolumeService {
  return createVolumeService({
    ...(userNamespaces !== null && { owner: userNamespaces.root }),
    dataRoot: config.dataRoot,
    kernel,
    log: log.with({ room: 'volume' }),
    onEvent: ({ action, name, attributes }) =>
      events.emit({ type: 'volume', action, id: name, attributes, timeNanos: nowNanos() }),
  });
}

function openRegistry({ log, live }: WireOptions): RegistryClient {
  return createRegistryClient({
    settings: () => live.now.registries,
    userAgent: `gantry/${GANTRY_VERSION} os/linux arch/${hostPlatform().architecture}`,
    log: log.with({ room: 'registry' }),
    clock: systemClock,
  });
}

interface ImageParts {
  readonly options: WireOptions;
  readonly storage: Storage;
  readonly registry: RegistryClient;
  readonly platform: Platform;
  readonly events: EventsService;
  readonly containersNow: () => ContainerService;
}

function openImages({
  options,
  storage,
  registry,
  platform,
  events,
  containersNow,
}: ImageParts): Promise<ImageService> {
  return openImageService({
    root: options.config.dataRoot,
    storage,
    registry,
    engineVersion: ENGINE_VERSION,
    platform,
    log: options.log.with({ room: 'image' }),
    users: {
      containersUsing: (id) =>
        containersNow()
          .usingImage(id)
          .map((use) => ({ containerId: use.id, running: use.running })),
    },
    onEvent: (event) => events.emit({ type: 'image', ...event, timeNanos: nowNanos() }),
  });
}

interface TaskParts {
  readonly options: WireOptions;
  readonly runtimes: Runtimes;
  readonly containersNow: () => ContainerService;
}

function openTasks({ options, runtimes, containersNow }: TaskParts): TaskService {
  const { kernel, config, instance, log } = options;
  return createTaskService({
    kernel,
    runtimes,
    execRoot: config.execRoot,
    shim: sealProgram(shimPath()),
    spareShims: SPARE_SHIMS,
    shimCgroup: `/gantry-${instance.slice(0, 6)}/shims`,
    log: log.with({ room: 'runtime' }),
    handlers: {
      onExit: (id, exit) => containersNow().handlers.onExit(id, exit),
      onExecExit: (id, execId, exit) => containersNow().handlers.onExecExit(id, execId, exit),
      onOom: (id) => containersNow().handlers.onOom(id),
    },
  });
}

function containerSettings(
  config: DaemonConfig,
  runtimes: Runtimes,
): Parameters<typeof createContainerService>[0]['settings'] {
  return {
    dataRoot: config.dataRoot,
    execRoot: config.execRoot,
    cgroupParent: config.cgroupParent,
    runtimes: runtimes.names(),
    defaultRuntime: config.defaultRuntime,
    logDriver: config.logDriver,
    logOptions: config.logOptions,
    dns: config.dns,
    dnsSearch: config.dnsSearch,
    dnsOptions: config.dnsOptions,
    initPath: findInit(config.initPath),
    defaults: {
      ...(config.shmSizeBytes !== null && { shmSizeBytes: config.shmSizeBytes }),
      init: config.init,
      noNewPrivileges: config.noNewPrivileges,
      ipcMode: config.defaultIpcMode,
      ...(config.defaultCgroupnsMode !== null && { cgroupnsMode: config.defaultCgroupnsMode }),
      ulimits: config.ulimits,
    },
  };
}

interface Restoring {
  readonly containers: ContainerService;
  readonly networks: NetworkService;
  readonly volumes: ReturnType<typeof createVolumeService>;
  readonly log: Log;
}

/** Kernel objects first, then who lives in them, then what nobody names, then what has to run again. */
async function restore({ containers, networks, volumes, log }: Restoring): Promise<void> {
  await Promise.all([networks.boot(), volumes.boot()]);
  const report = await containers.restore();
  const swept = await networks.sweep();
  log.info('state restored', {
    running: report.running,
    ended: report.ended,
    removed: report.removed,
    quarantined: report.quarantined.length,
    swept: swept.length,
  });
  for (const path of report.quarantined) log.warn('a damaged record was set aside', { path });
}
