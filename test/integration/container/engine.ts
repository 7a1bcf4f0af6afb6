import { randomBytes } from 'node:crypto';
import { createReadStream, mkdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '#base/clock.ts';
import type { JsonObject } from '#base/json.ts';
import { createLog, type Log } from '#base/log.ts';
import type { ContainerService, StreamClient } from '#container/container-service.ts';
import type {
  ContainerDeps,
  ContainerEvent,
  OutputFrame,
  RootTreePort,
  TaskHandlers,
} from '#container/ports.ts';
import { createContainerService } from '#container/service.ts';
import { createKernel, packageRoot } from '#host/real.ts';
import type { ImageService } from '#image/image-service.ts';
import { openImageService } from '#image/open.ts';
import { hostPlatform } from '#oci/platform.ts';
import { createNetworkService } from '#network/network-service.ts';
import type { NetworkService } from '#network/service.ts';
import { readHostFacts } from '#runtime/host-facts.ts';
import type { Runtimes } from '#runtime/runtimes.ts';
import { createTaskService } from '#runtime/task-service.ts';
import type { TaskService } from '#runtime/task.ts';
import { removeCgroups } from '../../support/leaks.ts';
import { noRegistry } from '../../support/no-registry.ts';
import { testRuntimes } from '../../support/runtimes.ts';
import { openStorage } from '#storage/storage.ts';
import type { VolumeService } from '#volume/service.ts';
import { createVolumeService } from '#volume/volume-service.ts';
import { createRootTree } from '../../../src/daemon/root-tree.ts';

/** All rooms below the daemon, for tests of the container room. Runs in a network namespace of its own. */
export interface Engine {
  readonly containers: ContainerService;
  /** While there is one, who reads a file in a container's tree waits for it, as in a tree that hangs. */
  readonly hang: { until?: Promise<void> | undefined };
  readonly events: ContainerEvent[];
  readonly images: ImageService;
  readonly networks: NetworkService;
  readonly volumes: VolumeService;
  /** What the kernel holds of a running container: a file of its cgroup, by its name on each version. */
  limitOf(id: string, file: { controller: string; v1: string; v2: string }): string;
  /** Lets go, as a daemon that is stopped: containers go on. */
  close(): Promise<void>;
  /** After the last container: the test's own parents. */
  removeCgroups(): Promise<void>;
}

const kernel = createKernel();
const log: Log = createLog({
  level: 'info',
  format: 'pretty',
  write: (line) => void process.stderr.write(line),
});

/** What the daemon would read from its configuration and from this machine. */
function machine(of: {
  dataRoot: string;
  execRoot: string;
  cgroupParent: string;
  runtimes: Runtimes;
}): Pick<ContainerDeps, 'settings' | 'facts'> {
  const { dataRoot, execRoot, cgroupParent, runtimes } = of;
  const facts = kernel.system.facts();
  return {
    settings: {
      dataRoot,
      execRoot,
      cgroupParent,
      runtimes: runtimes.names(),
      defaultRuntime: runtimes.defaultName,
      logDriver: 'json-file',
      logOptions: {},
      dns: [],
      dnsSearch: [],
      dnsOptions: [],
      initPath: null,
    },
    facts: {
      cpus: facts.cpus,
      cgroupVersion: kernel.cgroups.version === 'v2' ? 2 : 1,
      hasBlkioWeight: false,
      hostname: hostname(),
      bootId: facts.bootId,
      platform: hostPlatform(),
      spec: readHostFacts(kernel),
    },
  };
}

/** The task service, whose callbacks reach the container service that is made after it. */
function openTasks(of: {
  runtimes: Runtimes;
  execRoot: string;
  instance: string;
  log: Log;
  service: () => ContainerService;
}): TaskService {
  const { runtimes, execRoot, instance, log, service } = of;
  const handlers: TaskHandlers = {
    onExit: (...fact) => service().handlers.onExit(...fact),
    onExecExit: (...fact) => service().handlers.onExecExit(...fact),
    onOom: (...fact) => service().handlers.onOom(...fact),
  };
  return createTaskService({
    kernel,
    runtimes,
    execRoot,
    shim: { path: join(packageRoot(), 'dist/native/gantry-shim') },
    shimCgroup: `/gantry-${instance.slice(0, 6)}/shims`,
    handlers,
    log,
  });
}

function limitOf(path: string, file: { controller: string; v1: string; v2: string }): string {
  const isV2 = kernel.cgroups.version === 'v2';
  const value = kernel.cgroups.read(path, isV2 ? '' : file.controller, isV2 ? file.v2 : file.v1);
  return value?.trim() ?? '';
}

function treeThat(hang: Engine['hang']): RootTreePort {
  const tree = createRootTree(kernel.files);
  const readFile: RootTreePort['readFile'] = async (...args) => {
    await hang.until;
    return await tree.readFile(...args);
  };
  return { ...tree, readFile };
}

export async function openEngine(root: string, image?: string): Promise<Engine> {
  const [dataRoot, execRoot] = [join(root, 'data'), join(root, 'exec')];
  for (const path of [dataRoot, execRoot]) mkdirSync(path, { recursive: true });
  const facts = kernel.system.facts();
  const instance = root
    .replace(/[^0-9a-f]/g, '')
    .padEnd(64, '7')
    .slice(0, 64);
  const storage = await openStorage({ root: dataRoot, kernel, bootId: facts.bootId, log });
  const late: { containers?: ContainerService } = {};
  const images = await openImageService({
    root: dataRoot,
    storage,
    registry: noRegistry(),
    users: {
      containersUsing: (id) =>
        late.containers?.usingImage(id).map((use) => ({ containerId: use.id, running: use.running })) ?? [],
    },
    onEvent: () => undefined,
    log,
    engineVersion: 'test',
  });
  if (image !== undefined) await images.load(createReadStream(image), { onProgress: () => undefined });
  const networks = createNetworkService({ kernel, log, settings: { instance, dataRoot, execRoot } });
  const volumes = createVolumeService({ dataRoot, kernel, log });
  await volumes.boot();
  const runtimes = testRuntimes();
  const service = (): ContainerService => {
    if (late.containers === undefined) throw new Error('the runtime called back before anything was started');
    return late.containers;
  };
  const tasks = openTasks({ runtimes, execRoot, instance, log, service });
  const cgroupParent = `/gantry-test-${instance.slice(0, 6)}`;
  const events: ContainerEvent[] = [];
  const hang: Engine['hang'] = {};
  late.containers = createContainerService({
    ...machine({ dataRoot, execRoot, cgroupParent, runtimes }),
    images,
    snapshots: storage.snapshotter,
    tasks,
    networks,
    volumes,
    tree: treeThat(hang),
    treeReader: storage.trees,
    clock: systemClock,
    log,
    emit: (event) => events.push(event),
  });
  await networks.boot();
  await late.containers.restore();
  await networks.sweep();
  return {
    containers: late.containers,
    hang,
    events,
    images,
    networks,
    volumes,
    limitOf: (id, file) => limitOf(`${cgroupParent}/${id}`, file),
    close: async () => {
      await service().close();
      await tasks.close();
      await networks.close();
      await storage.close();
    },
    removeCgroups: async () => {
      for (const path of [cgroupParent, `/gantry-${instance.slice(0, 6)}`]) await removeCgroups(path);
    },
  };
}

export const newRoot = (): string => `/tmp/gtc-${randomBytes(3).toString('hex')}`;

/** A client that keeps what it is sent. */
export function collector(
  input: readonly string[] = [],
): StreamClient & { text(stream?: OutputFrame['stream']): string } {
  const frames: OutputFrame[] = [];
  return {
    input: (async function* () {
      for (const part of input) yield Buffer.from(part);
    })(),
    write: async (frame) => void frames.push(frame),
    signal: new AbortController().signal,
    text: (stream) =>
      frames
        .filter((frame) => stream === undefined || frame.stream === stream)
        .map((frame) => Buffer.from(frame.data).toString())
        .join(''),
  };
}

export async function create(engine: Engine, body: JsonObject, name = ''): Promise<string> {
  const { Id } = await engine.containers.create({
    name,
    body: { Image: 'busybox', ...body },
    platform: null,
    apiVersion: '1.51',
  });
  return Id;
}
