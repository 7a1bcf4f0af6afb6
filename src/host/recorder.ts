import type {
  Cgroups,
  ExitStatus,
  Firewall,
  Kernel,
  Links,
  Mounts,
  Namespaces,
  Processes,
  Sockets,
  SpawnOptions,
  System,
  SystemFacts,
} from './kernel.ts';
import { modelError, ModelNetwork } from './recorder-network.ts';

/** One call as the kernel's user made it. */
export interface RecordedCall {
  /** `links.apply`, `firewall.commit`, … */
  readonly call: string;
  readonly args: readonly unknown[];
}

export interface Recorder {
  readonly kernel: Kernel;
  /** In the order they were made; those that only ask are there, too. */
  readonly calls: readonly RecordedCall[];
  /** Makes the next call of that name throw instead of working. */
  failNext(call: string, error: Error): void;
  /** Ends a process that `spawn` started. */
  endProcess(pid: number, status: ExitStatus): void;
}

const FACTS: SystemFacts = {
  hostname: 'recorder',
  kernelVersion: '6.1.0',
  operatingSystem: 'Recorder Linux',
  osVersion: '1',
  machine: 'x86_64',
  processorLevel: 'v1',
  cpus: 2,
  memoryBytes: 2 ** 31,
  swapBytes: 0,
  bootId: '00000000-0000-4000-8000-000000000000',
  seccomp: true,
  apparmor: false,
  selinux: false,
  cgroupNamespaces: true,
  userNamespaces: true,
};

const FIRST_FD = 1000;
const FIRST_PID = 100_000;

/** Numbers that look like descriptors but are none: a slip in the code under test hits no real one. */
class Numbers {
  #next = FIRST_FD;

  take(): number {
    this.#next += 1;
    return this.#next;
  }
}

/**
 * A kernel that remembers what it was asked and answers from a model: links, nftables, ports, cgroups,
 * processes, namespaces. It has no file trees: code that works on files is tested on the real kernel.
 */
export function createRecorder(): Recorder {
  const calls: RecordedCall[] = [];
  const failures = new Map<string, Error>();
  const numbers = new Numbers();
  const world = new World(numbers);
  const ends = new Map<number, (status: ExitStatus) => void>();

  /** The part's functions, each noting its call first. */
  function recorded<T extends object>(part: string, target: T): T {
    return new Proxy(target, {
      get: (object, property, receiver) => {
        const value: unknown = Reflect.get(object, property, receiver);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]): unknown => {
          const call = `${part}.${String(property)}`;
          calls.push({ call, args });
          const failure = failures.get(call);
          failures.delete(call);
          if (failure !== undefined) throw failure;
          return Reflect.apply(value, object, args) as unknown;
        };
      },
    });
  }

  const noFiles = new Proxy({} as Kernel['files'], {
    get: (_object, property) => () => {
      throw modelError('ENOSYS', `files.${String(property)}`);
    },
  });
  return {
    kernel: {
      files: noFiles,
      mounts: recorded('mounts', modelMounts(numbers)),
      links: recorded('links', modelLinks(world)),
      firewall: recorded('firewall', modelFirewall(world)),
      namespaces: recorded('namespaces', modelNamespaces(world)),
      cgroups: recorded('cgroups', modelCgroups()),
      processes: recorded('processes', modelProcesses(ends)),
      threads: recorded('threads', {
        giveWay: () => undefined,
        favourMain: () => undefined,
        mainFirst: () => () => undefined,
      }),
      memory: recorded('memory', { release: () => undefined }),
      sockets: recorded('sockets', modelSockets(world)),
      system: recorded('system', modelSystem()),
    },
    calls,
    failNext: (call, error) => void failures.set(call, error),
    endProcess: (pid, status) => ends.get(pid)?.(status),
  };
}

/** Network namespaces by descriptor, and the one the thread is in. */
class World {
  readonly numbers: Numbers;
  readonly #networks = new Map<number, ModelNetwork>();
  #current = new ModelNetwork();

  constructor(numbers: Numbers) {
    this.numbers = numbers;
  }

  readonly of = (netns?: number): ModelNetwork => {
    if (netns === undefined) return this.#current;
    const found = this.#networks.get(netns);
    if (found === undefined) throw modelError('EBADF', 'setns', String(netns));
    return found;
  };

  add(network: ModelNetwork): number {
    const fd = this.numbers.take();
    this.#networks.set(fd, network);
    return fd;
  }

  inside<T>(netns: number, work: () => T): T {
    const before = this.#current;
    this.#current = this.of(netns);
    try {
      return work();
    } finally {
      this.#current = before;
    }
  }
}

function modelMounts(numbers: Numbers): Mounts {
  return {
    overlay: () => Promise.resolve(numbers.take()),
    cloneTree: () => Promise.resolve(numbers.take()),
    attach: () => undefined,
    detach: () => undefined,
    table: () => [],
    capabilities: () => ({ overlay: true, lowerdirAppend: true }),
  };
}

function modelLinks(world: World): Links {
  return {
    apply: (operations, netns) => {
      for (const operation of operations) world.of(netns).applyLink(operation, world.of);
    },
    list: (netns) => world.of(netns).links,
    find: (name, netns) => world.of(netns).find(name),
    addresses: (netns) => world.of(netns).addresses,
    routes: (netns) => world.of(netns).routes,
    watchRemovals: () => ({ close: () => undefined }),
  };
}

function modelFirewall(world: World): Firewall {
  return {
    commit: (operations, netns) => {
      if (operations.length > 0) world.of(netns).commit(operations);
    },
    tables: (netns) => world.of(netns).tables,
    dump: (table, netns) => world.of(netns).dump(table),
    elements: (table, set) => world.of().elements(table, set),
    generation: (netns) => world.of(netns).generation,
    watch: () => ({ close: () => undefined }),
    forgetConnections: () => 0,
  };
}

function modelNamespaces(world: World): Namespaces {
  return {
    createNetwork: () => Promise.resolve(world.add(new ModelNetwork())),
    connectNetwork: async (netns, { outside = [], inside = [] }) => {
      for (const operation of outside) world.of().applyLink(operation, (fd) => world.of(fd));
      for (const operation of inside) world.of(netns).applyLink(operation, (fd) => world.of(fd));
    },
    createUser: () => Promise.resolve(world.numbers.take()),
    openNetwork: () => world.add(world.of()),
    inNetwork: (netns, work) => world.inside(netns, work),
    identity: (netns) => BigInt(netns),
  };
}

const RECORDED_CONTROLLERS: readonly string[] = ['cpu', 'io', 'memory', 'pids'];

function modelCgroups(): Cgroups {
  const groups = new Set<string>(['/']);
  const frozen = new Set<string>();
  const below = (path: string): string[] =>
    [...groups].filter((group) => group === path || group.startsWith(`${path}/`));
  return {
    version: 'v2',
    controllers: RECORDED_CONTROLLERS,
    layout: () => ({
      version: 'v2',
      hierarchies: [{ version: 2, mountPoint: '/sys/fs/cgroup', controllers: RECORDED_CONTROLLERS }],
    }),
    create: (path) => {
      const parts = path.split('/').filter((part) => part !== '');
      for (let length = 1; length <= parts.length; length += 1)
        groups.add(`/${parts.slice(0, length).join('/')}`);
    },
    exists: (path) => groups.has(path),
    list: (path) => {
      const prefix = path === '/' ? '/' : `${path}/`;
      const names = [...groups]
        .filter((group) => group !== '/' && group.startsWith(prefix))
        .map((group) => group.slice(prefix.length));
      return names.filter((name) => !name.includes('/')).sort();
    },
    processes: () => [],
    kill: () => Promise.resolve(),
    removeEmpty: (path) => {
      for (const group of below(path)) groups.delete(group);
      return Promise.resolve(true);
    },
    remove: (path) => {
      for (const group of below(path)) groups.delete(group);
      return Promise.resolve();
    },
    freeze: (path) => Promise.resolve(void frozen.add(path)),
    thaw: (path) => Promise.resolve(void frozen.delete(path)),
    isFrozen: (path) => frozen.has(path),
    oomKills: () => 0,
    read: () => null,
    write: () => Promise.resolve(),
  };
}

function modelProcesses(ends: Map<number, (status: ExitStatus) => void>): Processes {
  let next = FIRST_PID;
  const known = (pid: number): boolean => ends.has(pid);
  return {
    spawn: (_options: SpawnOptions) => {
      next += 1;
      const pid = next;
      const exited = new Promise<ExitStatus>((resolve) => {
        ends.set(pid, (status) => {
          ends.delete(pid);
          resolve(status);
        });
      });
      return Promise.resolve({ pid, startTime: pid, exited });
    },
    identity: (pid) => (known(pid) ? { pid, startTime: pid } : null),
    alive: ({ pid, startTime }) => known(pid) && startTime === pid,
    signal: ({ pid }, signal) => {
      const end = ends.get(pid);
      if (signal === 9) end?.({ signal });
      return end !== undefined;
    },
    facts: (pid) =>
      known(pid) ? { pid, startTime: pid, parentPid: 1, state: 'S', command: 'recorded' } : null,
  };
}

function modelSockets(world: World): Sockets {
  const { numbers } = world;
  return {
    holdPort: (address) => ({ fd: numbers.take(), port: world.of().hold(address) }),
    inherited: () => [],
    pair: () => [numbers.take(), numbers.take()],
    sendFds: () => undefined,
    receiveFds: () => Promise.resolve({ fds: [], message: Buffer.alloc(1) }),
  };
}

function modelSystem(): System {
  const sysctls = new Map<string, string>([['net/ipv4/ip_forward', '0']]);
  return {
    facts: () => FACTS,
    hasApparmorProfile: () => false,
    readSysctl: (name) => sysctls.get(name) ?? null,
    writeSysctl: (name, value) => void sysctls.set(name, value),
  };
}
