import type { SecurityInput, SpecInput } from '#runtime/spec.ts';

/** The security of a `docker run` that asks for nothing, on a host without AppArmor. */
export const PLAIN_SECURITY: SecurityInput = {
  privileged: false,
  capabilities: { add: [], drop: [] },
  noNewPrivileges: false,
  seccomp: 'default',
  apparmor: '',
  maskedPaths: null,
  readonlyPaths: null,
};

/** What a `docker run` that asks for nothing makes of a container, but for what names it and its host. */
export const PLAIN_INPUT: Omit<SpecInput, 'id' | 'cgroupPath' | 'hostname' | 'host'> = {
  args: [],
  env: [],
  cwd: '',
  user: { uid: 0, gid: 0, additionalGids: [0], home: '/root' },
  terminal: false,
  domainname: '',
  rootfsReadonly: false,
  network: { mode: 'private' },
  pid: { mode: 'private' },
  ipc: { mode: 'private' },
  uts: 'private',
  cgroupNamespace: 'host',
  mounts: [],
  networkFiles: [],
  shmSizeBytes: 64 << 20,
  security: PLAIN_SECURITY,
  resources: {},
  devices: { nodes: [], rules: [] },
  sysctls: {},
  oomScoreAdj: 0,
  annotations: {},
};
