import type {
  SpecBlockIo,
  SpecDevice,
  SpecIdMapping,
  SpecLinux,
  SpecNamespace,
  SpecResources,
  SpecSeccomp,
} from '#oci/runtime-spec.ts';
import { invalid } from './builder.ts';
import {
  flag,
  list,
  map,
  needed,
  oneOf,
  optional,
  type Reader,
  inline,
  isObject,
  record,
  signed64,
  text,
  unsigned16,
  unsigned32,
  unsigned64,
} from './json-readers.ts';

const NAMESPACES = ['pid', 'network', 'mount', 'ipc', 'uts', 'user', 'cgroup', 'time'] as const;
const CLOCKS = ['monotonic', 'boottime'];
/** The kernel takes no more. */
const MAX_MAPPINGS = 340;
const MAX_DEVICES = 4096;
const MAX_PATHS = 4096;

export const idMappings: Reader<SpecIdMapping[]> = list(
  record<SpecIdMapping>({
    containerID: needed(unsigned32),
    hostID: needed(unsigned32),
    size: needed(unsigned32),
  }),
  MAX_MAPPINGS,
);

const namespace = record<SpecNamespace>({
  type: needed(oneOf(NAMESPACES, 'unknown namespace')),
  path: optional(text),
});

const namespaces: Reader<SpecNamespace[]> = (value, path) => {
  const all = list(namespace)(value, path);
  for (const [i, { type, path: place }] of all.entries()) {
    if (all.findIndex((other) => other.type === type) !== i) {
      throw invalid(`${path}[${i}].type`, `malformed spec file: duplicated ns "${type}"`);
    }
    if (place !== undefined && place !== '' && !place.startsWith('/')) {
      throw invalid(`${path}[${i}].path`, 'must be an absolute path');
    }
  }
  return all;
};

const numberedDevice = record<SpecDevice>({
  path: needed(text),
  type: needed(oneOf(['c', 'u', 'b', 'p'], 'invalid device type')),
  major: needed(signed64),
  minor: needed(signed64),
  fileMode: optional(unsigned32),
  uid: optional(unsigned32),
  gid: optional(unsigned32),
});

/** A FIFO has no numbers. */
const device: Reader<SpecDevice> = (value, path) =>
  numberedDevice(isObject(value) ? { major: 0, minor: 0, ...value } : value, path);

const throttles = optional(
  list(inline({ major: needed(signed64), minor: needed(signed64), rate: needed(unsigned64) })),
);

const blockIo = record<SpecBlockIo>({
  weight: optional(unsigned16),
  leafWeight: optional(unsigned16),
  weightDevice: optional(
    list(
      inline({
        major: needed(signed64),
        minor: needed(signed64),
        weight: optional(unsigned16),
        leafWeight: optional(unsigned16),
      }),
    ),
  ),
  throttleReadBpsDevice: throttles,
  throttleWriteBpsDevice: throttles,
  throttleReadIOPSDevice: throttles,
  throttleWriteIOPSDevice: throttles,
});

export const readResources = record<SpecResources>({
  devices: optional(
    list(
      inline({
        allow: needed(flag),
        type: optional(text),
        major: optional(signed64),
        minor: optional(signed64),
        access: optional(text),
      }),
      MAX_DEVICES,
    ),
  ),
  memory: optional(
    inline({
      limit: optional(signed64),
      reservation: optional(signed64),
      swap: optional(signed64),
      kernel: optional(signed64),
      kernelTCP: optional(signed64),
      swappiness: optional(unsigned64),
      disableOOMKiller: optional(flag),
      useHierarchy: optional(flag),
      checkBeforeUpdate: optional(flag),
    }),
  ),
  cpu: optional(
    inline({
      shares: optional(unsigned64),
      quota: optional(signed64),
      burst: optional(unsigned64),
      period: optional(unsigned64),
      realtimeRuntime: optional(signed64),
      realtimePeriod: optional(unsigned64),
      cpus: optional(text),
      mems: optional(text),
      idle: optional(signed64),
    }),
  ),
  pids: optional(inline({ limit: needed(signed64) })),
  blockIO: optional(blockIo),
  hugepageLimits: optional(list(inline({ pageSize: needed(pageSize()), limit: needed(unsigned64) }))),
  network: optional(
    inline({
      classID: optional(unsigned32),
      priorities: optional(list(inline({ name: needed(text), priority: needed(unsigned32) }))),
    }),
  ),
  rdma: optional(map(inline({ hcaHandles: optional(unsigned32), hcaObjects: optional(unsigned32) }))),
  unified: optional(map(text)),
});

/** It becomes part of a file's name. */
function pageSize(): Reader<string> {
  return (value, path) => {
    const size = text(value, path);
    if (!/^[1-9][0-9]*[KMG]B$/.test(size)) throw invalid(path, `${JSON.stringify(size)} is no page size`);
    return size;
  };
}

const seccomp = record<SpecSeccomp>(
  {
    defaultAction: needed(text),
    defaultErrnoRet: optional(unsigned32),
    architectures: optional(list(text)),
    flags: optional(list(text)),
    listenerPath: optional(text),
    listenerMetadata: optional(text),
    syscalls: optional(
      list(
        inline({
          names: needed(list(text)),
          action: needed(text),
          errnoRet: optional(unsigned32),
          args: optional(
            list(
              inline({
                index: needed(unsigned32),
                value: needed(unsigned64),
                valueTwo: optional(unsigned64),
                op: needed(text),
              }),
            ),
          ),
        }),
      ),
    ),
  },
  ['listenerPath', 'listenerMetadata'],
);

const offsets = map(inline({ secs: optional(signed64), nanosecs: optional(unsigned32) }));

const linux = record<SpecLinux>(
  {
    uidMappings: optional(idMappings),
    gidMappings: optional(idMappings),
    sysctl: optional(map(text)),
    resources: optional(readResources),
    cgroupsPath: optional(text),
    namespaces: optional(namespaces),
    devices: optional(list(device, MAX_DEVICES)),
    seccomp: optional(seccomp),
    rootfsPropagation: optional(text),
    maskedPaths: optional(list(text, MAX_PATHS)),
    readonlyPaths: optional(list(text, MAX_PATHS)),
    mountLabel: optional(text),
    personality: optional(inline({ domain: needed(text), flags: optional(list(text)) })),
    timeOffsets: optional(offsets),
  },
  ['intelRdt', 'memoryPolicy', 'netDevices'],
);

/** A filter that says nothing at all is none. */
function withoutEmptyFilter(value: unknown): unknown {
  if (!isObject(value) || !isObject(value['seccomp'])) return value;
  const { defaultAction = '', syscalls = [] } = value['seccomp'];
  const isEmpty = defaultAction === '' && Array.isArray(syscalls) && syscalls.length === 0;
  return isEmpty ? { ...value, seccomp: null } : value;
}

export const readLinux: Reader<SpecLinux> = (value, path) => {
  const read = linux(withoutEmptyFilter(value), path);
  const has = (type: string): boolean => read.namespaces?.some((each) => each.type === type) === true;
  for (const name of ['uidMappings', 'gidMappings'] as const) {
    if ((read[name]?.length ?? 0) > 0 && !has('user')) {
      throw invalid(
        `${path}.${name}`,
        "User namespace mappings specified, but USER namespace isn't enabled in the config",
      );
    }
  }
  const clocks = Object.keys(read.timeOffsets ?? {});
  if (clocks.length > 0 && !has('time')) {
    throw invalid(
      `${path}.timeOffsets`,
      "time namespace offsets specified, but time namespace isn't enabled in the config",
    );
  }
  for (const clock of clocks) {
    if (!CLOCKS.includes(clock))
      throw invalid(`${path}.timeOffsets[${JSON.stringify(clock)}]`, 'unknown clock');
  }
  return read;
};
