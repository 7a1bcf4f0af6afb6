import type { CgroupVersion } from '#host/kernel.ts';
import type {
  SpecBlockIo,
  SpecCpu,
  SpecMemory,
  SpecResources,
  SpecThrottleDevice,
} from '#oci/runtime-spec.ts';
import { invalid } from './builder.ts';
import { ERRNO } from './kernel-numbers.ts';

/** One value for one file of a container's cgroup. */
export interface ResourceWrite {
  /** v1 hierarchy; '' on v2. */
  readonly controller: string;
  readonly file: string;
  readonly value: string;
  /** Errnos that do not matter. */
  readonly ignore?: readonly number[];
  /** Member of `linux.resources`. */
  readonly from: string;
}

export interface ResourceOptions {
  /**
   * Bytes of memory.limit_in_bytes as they are: memory with swap can never be below memory, so the one that
   * grows goes first. Default: no limit yet.
   */
  readonly memoryLimitNow?: number;
}

const CPU_PERIOD_US = 100_000;
const UNLIMITED = -1;
const ABSENT = [ERRNO.ENOENT];

type Value = number | string | undefined;

/** Nothing for a value that is not given, or is 0 where the specification means "not set" by it. */
function write(controller: string, file: string, { value, from }: { value: Value; from: string }) {
  return value === undefined || value === '' ? [] : [{ controller, file, value: String(value), from }];
}

const set = (value: number | undefined): number | undefined => (value === 0 ? undefined : value);

function pidsValue(limit: number | undefined): string | undefined {
  if (limit === undefined || limit === 0) return undefined;
  return limit > 0 ? String(limit) : 'max';
}

const bytes = (value: number | undefined): string | undefined =>
  value === undefined || value === 0 ? undefined : value === UNLIMITED ? 'max' : String(value);

function memoryV1(memory: SpecMemory, limitNow: number): ResourceWrite[] {
  const limit = set(memory.limit);
  // Unlimited memory under a limit of both would be none.
  const implied = limit === UNLIMITED && !memory.swap;
  const swap = implied ? UNLIMITED : set(memory.swap);
  const writeLimit = write('memory', 'memory.limit_in_bytes', { value: limit, from: 'memory.limit' });
  const writeSwap = write('memory', 'memory.memsw.limit_in_bytes', { value: swap, from: 'memory.swap' }).map(
    (each) => (implied ? { ...each, ignore: ABSENT } : each),
  );
  const grows = limit !== undefined && swap !== undefined && (swap === UNLIMITED || limitNow < swap);
  return [
    ...(grows ? [...writeSwap, ...writeLimit] : [...writeLimit, ...writeSwap]),
    ...write('memory', 'memory.soft_limit_in_bytes', {
      value: set(memory.reservation),
      from: 'memory.reservation',
    }),
    ...(memory.disableOOMKiller === true
      ? write('memory', 'memory.oom_control', { value: 1, from: 'memory.disableOOMKiller' })
      : []),
    ...write('memory', 'memory.swappiness', { value: swappiness(memory), from: 'memory.swappiness' }),
  ];
}

function swappiness({ swappiness: value }: SpecMemory): number | undefined {
  if (value === undefined || value === UNLIMITED) return undefined;
  if (value > 100 || value < 0) {
    throw invalid(
      'linux.resources.memory.swappiness',
      `invalid value: ${value}, valid memory swappiness range is 0-100`,
    );
  }
  return value;
}

/** v2 counts swap alone. */
function swapV2({ limit = 0, swap = 0 }: SpecMemory): string | undefined {
  if (limit === UNLIMITED && swap === 0) return 'max';
  if (swap === UNLIMITED) return 'max';
  if (swap === 0) return undefined;
  const refuse = (text: string): never => {
    throw invalid('linux.resources.memory.swap', text);
  };
  if (limit === 0) refuse('unable to set swap limit without memory limit');
  if (swap < limit) refuse('memory+swap limit should be >= memory limit');
  return String(swap - limit);
}

function memoryV2(memory: SpecMemory): ResourceWrite[] {
  const swap = swapV2(memory);
  // A kernel that does not count swap has nothing to forbid or to allow.
  const tolerant = swap === 'max' || swap === '0';
  return [
    ...write('', 'memory.swap.max', { value: swap, from: 'memory.swap' }).map((each) =>
      tolerant ? { ...each, ignore: ABSENT } : each,
    ),
    ...write('', 'memory.max', { value: bytes(memory.limit), from: 'memory.limit' }),
    ...write('', 'memory.low', { value: bytes(memory.reservation), from: 'memory.reservation' }),
  ];
}

function cpuV1(cpu: SpecCpu): ResourceWrite[] {
  const files: [file: string, name: keyof SpecCpu, value: Value][] = [
    ['cpu.rt_period_us', 'realtimePeriod', set(cpu.realtimePeriod)],
    ['cpu.rt_runtime_us', 'realtimeRuntime', set(cpu.realtimeRuntime)],
    ['cpu.shares', 'shares', set(cpu.shares)],
    ['cpu.cfs_period_us', 'period', set(cpu.period)],
    ['cpu.cfs_burst_us', 'burst', cpu.burst],
    ['cpu.cfs_quota_us', 'quota', set(cpu.quota)],
    ['cpu.idle', 'idle', cpu.idle],
    ['cpuset.cpus', 'cpus', cpu.cpus],
    ['cpuset.mems', 'mems', cpu.mems],
  ];
  return files.flatMap(([file, name, value]) =>
    write(file.slice(0, file.indexOf('.')), file, { value, from: `cpu.${name}` }),
  );
}

/** From 2–262144 shares to a weight of 1–10000. */
export function cpuWeight(shares: number): number {
  return 1 + Math.trunc(((shares - 2) * 9999) / 262_142);
}

/** From 10–1000 to 1–10000. */
function ioWeight(weight: number): number {
  return 1 + Math.trunc(((weight - 10) * 9999) / 990);
}

function cpuV2(cpu: SpecCpu): ResourceWrite[] {
  const one = (file: string, value: Value, name: string): ResourceWrite[] =>
    write('', file, { value, from: `cpu.${name}` });
  const { quota = 0, period = 0 } = cpu;
  const time =
    quota === 0 && period === 0 ? undefined : `${quota > 0 ? quota : 'max'} ${period || CPU_PERIOD_US}`;
  return [
    ...one('cpu.idle', cpu.idle, 'idle'),
    ...one('cpu.weight', cpu.shares ? cpuWeight(cpu.shares) : undefined, 'shares'),
    ...one('cpu.max.burst', cpu.burst, 'burst'),
    ...one('cpu.max', time, quota === 0 ? 'period' : 'quota'),
    ...one('cpuset.cpus', cpu.cpus, 'cpus'),
    ...one('cpuset.mems', cpu.mems, 'mems'),
  ];
}

const THROTTLES = [
  ['throttleReadBpsDevice', 'read_bps_device', 'rbps'],
  ['throttleWriteBpsDevice', 'write_bps_device', 'wbps'],
  ['throttleReadIOPSDevice', 'read_iops_device', 'riops'],
  ['throttleWriteIOPSDevice', 'write_iops_device', 'wiops'],
] as const;

function throttles(
  io: SpecBlockIo,
  one: (device: SpecThrottleDevice, names: (typeof THROTTLES)[number]) => Omit<ResourceWrite, 'from'>,
): ResourceWrite[] {
  return THROTTLES.flatMap((names) =>
    (io[names[0]] ?? []).map((device, i) => ({
      ...one(device, names),
      from: `blockIO.${names[0]}[${i}]`,
    })),
  );
}

/** A weight has one file or another, as the kernel's scheduler has it. */
function blkioV1(io: SpecBlockIo): ResourceWrite[] {
  const one = (file: string, value: Value, from: string): ResourceWrite[] =>
    write('blkio', file, { value, from: `blockIO.${from}` });
  const optional = (writes: ResourceWrite[]): ResourceWrite[] =>
    writes.map((each) => ({ ...each, ignore: ABSENT }));
  const weight = set(io.weight);
  return [
    ...optional(one('blkio.weight', weight, 'weight')),
    ...optional(one('blkio.bfq.weight', weight, 'weight')),
    ...one('blkio.leaf_weight', set(io.leafWeight), 'leafWeight'),
    ...(io.weightDevice ?? []).flatMap(({ major, minor, weight: own, leafWeight }, i) => {
      const from = `weightDevice[${i}]`;
      const value = own ? `${major}:${minor} ${own}` : undefined;
      const leaf = leafWeight ? `${major}:${minor} ${leafWeight}` : undefined;
      return [
        ...optional(one('blkio.weight_device', value, from)),
        ...optional(one('blkio.bfq.weight_device', value, from)),
        ...one('blkio.leaf_weight_device', leaf, from),
      ];
    }),
    ...throttles(io, ({ major, minor, rate }, [, file]) => ({
      controller: 'blkio',
      file: `blkio.throttle.${file}`,
      value: `${major}:${minor} ${rate}`,
    })),
  ];
}

function blkioV2(io: SpecBlockIo): ResourceWrite[] {
  const optional = (file: string, value: Value, from: string): ResourceWrite[] =>
    write('', file, { value, from: `blockIO.${from}` }).map((each) => ({ ...each, ignore: ABSENT }));
  const weight = set(io.weight);
  return [
    ...optional('io.bfq.weight', weight, 'weight'),
    ...optional('io.weight', weight === undefined ? undefined : ioWeight(weight), 'weight'),
    ...(io.weightDevice ?? []).flatMap(({ major, minor, weight: own }, i) =>
      optional('io.bfq.weight', own ? `${major}:${minor} ${own}` : undefined, `weightDevice[${i}]`),
    ),
    ...throttles(io, ({ major, minor, rate }, [, , key]) => ({
      controller: '',
      file: 'io.max',
      value: `${major}:${minor} ${key}=${rate}`,
    })),
  ];
}

function hugepages({ hugepageLimits = [] }: SpecResources, v2: boolean): ResourceWrite[] {
  return hugepageLimits.flatMap(({ pageSize, limit }, i) => {
    const from = `hugepageLimits[${i}]`;
    const file = (what: string): string => `hugetlb.${pageSize}.${what}${v2 ? 'max' : 'limit_in_bytes'}`;
    const controller = v2 ? '' : 'hugetlb';
    return [
      ...write(controller, file(''), { value: limit, from }),
      // What is reserved and not touched yet counts on newer kernels only.
      ...write(controller, file('rsvd.'), { value: limit, from }).map((each) => ({
        ...each,
        ignore: [ERRNO.ENOENT, ERRNO.EOPNOTSUPP],
      })),
    ];
  });
}

function rdma({ rdma: devices = {} }: SpecResources, v2: boolean): ResourceWrite[] {
  return Object.entries(devices).map(([name, { hcaHandles, hcaObjects }]) => ({
    controller: v2 ? '' : 'rdma',
    file: 'rdma.max',
    value: [
      name,
      ...(hcaHandles === undefined ? [] : [`hca_handle=${hcaHandles}`]),
      ...(hcaObjects === undefined ? [] : [`hca_object=${hcaObjects}`]),
    ].join(' '),
    from: `rdma[${JSON.stringify(name)}]`,
  }));
}

function network({ network: net }: SpecResources): ResourceWrite[] {
  return [
    ...write('net_cls', 'net_cls.classid', { value: set(net?.classID), from: 'network.classID' }),
    ...(net?.priorities ?? []).map(({ name, priority }, i) => ({
      controller: 'net_prio',
      file: 'net_prio.ifpriomap',
      value: `${name} ${priority}`,
      from: `network.priorities[${i}]`,
    })),
  ];
}

function unified({ unified: files = {} }: SpecResources): ResourceWrite[] {
  return Object.entries(files).map(([file, value]) => {
    const from = `unified[${JSON.stringify(file)}]`;
    if (file === '' || file.includes('/')) {
      throw invalid(`linux.resources.${from}`, `unified resource "${file}" must be a file name (no slashes)`);
    }
    return { controller: '', file, value, from };
  });
}

/**
 * `linux.resources` as what to write, in this order, to the files of a container's cgroup; devices are not
 * among them. Errors: `invalidArgument` with the JSON path.
 */
export function resourceWrites(
  version: CgroupVersion,
  resources: SpecResources,
  options: ResourceOptions = {},
): ResourceWrite[] {
  const v2 = version === 'v2';
  if (!v2 && Object.keys(resources.unified ?? {}).length > 0) {
    throw invalid('linux.resources.unified', 'cannot be used on a host with cgroup v1');
  }
  const { memory = {}, cpu = {}, blockIO = {} } = resources;
  const pids = write(v2 ? '' : 'pids', 'pids.max', {
    value: pidsValue(resources.pids?.limit),
    from: 'pids.limit',
  });
  if (v2) {
    return [
      ...pids,
      ...memoryV2(memory),
      ...blkioV2(blockIO),
      ...cpuV2(cpu),
      ...hugepages(resources, true),
      ...rdma(resources, true),
      ...unified(resources),
    ];
  }
  return [
    ...cpuV1(cpu),
    ...memoryV1(memory, options.memoryLimitNow ?? Infinity),
    ...pids,
    ...blkioV1(blockIO),
    ...hugepages(resources, false),
    ...rdma(resources, false),
    ...network(resources),
  ];
}
