import type { Cgroups } from '#host/kernel.ts';

type Read = (controller: string, file: string) => string | null;

/** What is asked of the kernel; a file that is not there gives no member. */
export type CgroupReader = Pick<Cgroups, 'read' | 'version'>;

const NS_PER_TICK = 10_000_000;
const NS_PER_US = 1000;
const NO_LIMIT = 9_223_372_036_854_771_712;

const number = (text: string | null): number => {
  const value = text?.trim() ?? '';
  return value === 'max' ? NO_LIMIT : Number(value);
};

/** `name number` on each line. */
function pairs(text: string | null): Record<string, number> {
  const found: Record<string, number> = {};
  for (const line of (text ?? '').split('\n')) {
    const [name = '', value] = line.split(' ');
    if (value !== undefined) found[name] = Number(value);
  }
  return found;
}

const numbers = (text: string | null): number[] =>
  (text ?? '').trim().split(/\s+/).filter(Boolean).map(Number);

function range(text: string | null): number[] {
  return (text ?? '')
    .trim()
    .split(',')
    .filter(Boolean)
    .flatMap((part) => {
      const [from = 0, to = from] = part.split('-').map(Number);
      return Array.from({ length: to - from + 1 }, (_unused, index) => from + index);
    });
}

interface BlkioEntry {
  readonly major: number;
  readonly minor: number;
  readonly op: string;
  readonly value: number;
}

function blkioV1(text: string | null): BlkioEntry[] | undefined {
  const entries = (text ?? '').split('\n').flatMap((line) => {
    const [, major, minor, op, value] = /^(\d+):(\d+)(?: (\w+))? (\d+)$/.exec(line) ?? [];
    if (major === undefined) return [];
    return [{ major: Number(major), minor: Number(minor), op: op ?? '', value: Number(value) }];
  });
  return entries.length === 0 ? undefined : entries;
}

function throttling(read: Read, controller: string): Record<string, number> {
  const stat = pairs(read(controller, 'cpu.stat'));
  return {
    ...(stat['nr_periods'] && { periods: stat['nr_periods'] }),
    ...(stat['nr_throttled'] && { throttledPeriods: stat['nr_throttled'] }),
    ...(stat['throttled_time'] && { throttledTime: stat['throttled_time'] }),
    ...(stat['throttled_usec'] && { throttledTime: stat['throttled_usec'] * NS_PER_US }),
  };
}

function cpuV1(read: Read): object {
  const stat = pairs(read('cpuacct', 'cpuacct.stat'));
  return {
    usage: {
      total: number(read('cpuacct', 'cpuacct.usage')),
      percpu: numbers(read('cpuacct', 'cpuacct.usage_percpu')),
      kernel: (stat['system'] ?? 0) * NS_PER_TICK,
      user: (stat['user'] ?? 0) * NS_PER_TICK,
    },
    throttling: throttling(read, 'cpu'),
  };
}

function memoryV1(read: Read): object {
  const part = (prefix: string): object | undefined => {
    const usage = read('memory', `${prefix}.usage_in_bytes`);
    if (usage === null) return undefined;
    return {
      limit: number(read('memory', `${prefix}.limit_in_bytes`)),
      usage: number(usage),
      max: number(read('memory', `${prefix}.max_usage_in_bytes`)),
      failcnt: number(read('memory', `${prefix}.failcnt`)),
    };
  };
  const raw = pairs(read('memory', 'memory.stat'));
  return {
    ...(raw['cache'] && { cache: raw['cache'] }),
    usage: part('memory'),
    swap: part('memory.memsw'),
    kernel: part('memory.kmem'),
    kernelTCP: part('memory.kmem.tcp'),
    raw,
  };
}

function cpusetV1(read: Read): object {
  return {
    cpus: range(read('cpuset', 'cpuset.cpus')),
    cpu_exclusive: number(read('cpuset', 'cpuset.cpu_exclusive')),
    mems: range(read('cpuset', 'cpuset.mems')),
    mem_hardwall: number(read('cpuset', 'cpuset.mem_hardwall')),
    mem_exclusive: number(read('cpuset', 'cpuset.mem_exclusive')),
    memory_migrate: number(read('cpuset', 'cpuset.memory_migrate')),
    memory_spread_page: number(read('cpuset', 'cpuset.memory_spread_page')),
    memory_spread_slab: number(read('cpuset', 'cpuset.memory_spread_slab')),
    memory_pressure: number(read('cpuset', 'cpuset.memory_pressure')),
    sched_load_balance: number(read('cpuset', 'cpuset.sched_load_balance')),
    sched_relax_domain_level: number(read('cpuset', 'cpuset.sched_relax_domain_level')),
  };
}

function statsV1(read: Read): object {
  const ioBytes = blkioV1(read('blkio', 'blkio.throttle.io_service_bytes'));
  const ioServiced = blkioV1(read('blkio', 'blkio.throttle.io_serviced'));
  return {
    cpu: cpuV1(read),
    cpuset: cpusetV1(read),
    memory: memoryV1(read),
    pids: pidsOf(read, 'pids'),
    blkio: {
      ...(ioBytes && { ioServiceBytesRecursive: ioBytes }),
      ...(ioServiced && { ioServicedRecursive: ioServiced }),
    },
  };
}

function pidsOf(read: Read, controller: string): object {
  const limit = read(controller, 'pids.max')?.trim();
  return {
    current: number(read(controller, 'pids.current')),
    ...(limit !== undefined && limit !== 'max' && { limit: Number(limit) }),
  };
}

function memoryV2(read: Read): object {
  const raw = pairs(read('', 'memory.stat'));
  const part = (prefix: string): object => ({
    limit: number(read('', `${prefix}.max`)),
    usage: number(read('', `${prefix}.current`)),
    max: number(read('', `${prefix}.peak`)),
    failcnt: 0,
  });
  return {
    ...(raw['file'] && { cache: raw['file'] }),
    usage: part('memory'),
    swap: part('memory.swap'),
    kernel: { usage: raw['kernel'] ?? 0, failcnt: 0 },
    kernelTCP: { usage: raw['sock'] ?? 0, failcnt: 0 },
    raw,
  };
}

function blkioV2(text: string | null): object {
  const bytes: BlkioEntry[] = [];
  const serviced: BlkioEntry[] = [];
  const names: Readonly<Record<string, readonly [BlkioEntry[], string]>> = {
    rbytes: [bytes, 'Read'],
    wbytes: [bytes, 'Write'],
    rios: [serviced, 'Read'],
    wios: [serviced, 'Write'],
  };
  for (const line of (text ?? '').split('\n')) {
    const [, major, minor, rest = ''] = /^(\d+):(\d+) (.*)$/.exec(line) ?? [];
    for (const [, name = '', value] of rest.matchAll(/(\w+)=(\d+)/g)) {
      const [list, op] = names[name] ?? [];
      list?.push({ major: Number(major), minor: Number(minor), op: op ?? '', value: Number(value) });
    }
  }
  return {
    ...(bytes.length > 0 && { ioServiceBytesRecursive: bytes }),
    ...(serviced.length > 0 && { ioServicedRecursive: serviced }),
  };
}

function statsV2(read: Read): object {
  const stat = pairs(read('', 'cpu.stat'));
  const nanoseconds = (name: string): number => (stat[name] ?? 0) * NS_PER_US;
  return {
    cpu: {
      usage: {
        total: nanoseconds('usage_usec'),
        kernel: nanoseconds('system_usec'),
        user: nanoseconds('user_usec'),
      },
      throttling: throttling(read, ''),
    },
    cpuset: { cpus: range(read('', 'cpuset.cpus')), mems: range(read('', 'cpuset.mems')) },
    memory: memoryV2(read),
    pids: pidsOf(read, ''),
    blkio: blkioV2(read('', 'io.stat')),
  };
}

/** The `data` of an event of type `stats`. */
export function containerStats(cgroups: CgroupReader, path: string): object {
  const read: Read = (controller, file) => cgroups.read(path, controller, file);
  const measured = cgroups.version === 'v2' ? statsV2(read) : statsV1(read);
  return { ...measured, hugetlb: {}, intel_rdt: {}, network_interfaces: null };
}
