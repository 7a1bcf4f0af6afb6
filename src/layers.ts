/**
 * The rooms of this code base, what each may import, and which node builtins it may use.
 * `tools/check-layers.ts` holds every file against this table on each check; there are no exemptions. A
 * `#room/file` import crosses a boundary, a relative one stays inside its room; only files at depth 1 of a
 * room are public.
 */
export interface Room {
  readonly purpose: string;
  readonly rooms: readonly string[];
  /** Node builtins, without the `node:` prefix. */
  readonly builtins: readonly string[];
}

const PLAIN = [
  'buffer',
  'crypto',
  'path',
  'util',
  'events',
  'stream',
  'stream/promises',
  'timers',
  'timers/promises',
  'string_decoder',
];
const FILES = ['fs', 'fs/promises'];

export const LAYERS: Readonly<Record<string, Room>> = {
  base: {
    purpose: 'things with no domain word in them',
    rooms: [],
    builtins: [...PLAIN, ...FILES, 'url', 'tty', 'process', 'async_hooks'],
  },
  oci: {
    purpose: 'OCI vocabulary as plain data and pure functions',
    rooms: ['base'],
    builtins: ['buffer', 'crypto'],
  },
  host: {
    purpose: 'the only room that reaches the kernel or starts a process',
    rooms: ['base'],
    builtins: [...PLAIN, ...FILES, 'module', 'net', 'os', 'url', 'worker_threads', 'process'],
  },
  api: {
    purpose: 'Engine API contract: types, codecs, messages',
    rooms: ['base', 'oci'],
    builtins: [...PLAIN, 'fs', 'net', 'tls', 'url'],
  },
  storage: {
    purpose: 'blobs, snapshots, layer apply, leases',
    rooms: ['base', 'oci', 'host'],
    builtins: [...PLAIN, ...FILES, 'os', 'zlib', 'worker_threads', 'url'],
  },
  network: {
    purpose: 'networks, sandboxes, endpoints, addresses, ports',
    rooms: ['base', 'host'],
    builtins: [...PLAIN, ...FILES, 'net'],
  },
  volume: {
    purpose: 'named storage with owners, bind and tmpfs mounts',
    rooms: ['base', 'host'],
    builtins: [...PLAIN, ...FILES],
  },
  runtime: {
    purpose: 'supervise tasks: spec, shim, exit',
    rooms: ['base', 'oci', 'host'],
    builtins: [...PLAIN, ...FILES, 'net', 'os'],
  },
  registry: {
    purpose: 'the distribution protocol: client end and server end',
    rooms: ['base', 'oci'],
    builtins: [
      ...PLAIN,
      ...FILES,
      'http',
      'https',
      'net',
      'tls',
      'dns',
      'dns/promises',
      'url',
      'zlib',
      'worker_threads',
    ],
  },
  image: {
    purpose: 'names, manifests, unpacked chains',
    rooms: ['base', 'oci', 'api', 'storage', 'registry'],
    builtins: [...PLAIN, ...FILES, 'zlib'],
  },
  container: {
    purpose: 'lifecycle of a container record',
    rooms: ['base', 'oci', 'api', 'storage', 'runtime', 'network', 'volume', 'image'],
    builtins: [...PLAIN, ...FILES, 'net', 'os'],
  },
  daemon: {
    purpose: 'HTTP server, configuration and the one place where everything is constructed',
    rooms: [
      'base',
      'oci',
      'api',
      'host',
      'storage',
      'registry',
      'network',
      'volume',
      'runtime',
      'image',
      'container',
    ],
    builtins: [
      ...PLAIN,
      ...FILES,
      'http',
      'https',
      'net',
      'tls',
      'os',
      'url',
      'process',
      'perf_hooks',
      'v8',
      'module',
    ],
  },
  main: {
    purpose: 'composition roots of the executables other than daemon and cli',
    rooms: ['base', 'oci', 'host', 'runtime', 'storage', 'registry'],
    builtins: [...PLAIN, ...FILES, 'http', 'https', 'tls', 'url', 'net', 'os', 'tty', 'process'],
  },
  cli: {
    purpose: 'argv to client calls to text',
    rooms: ['base', 'oci', 'api'],
    builtins: [
      ...PLAIN,
      ...FILES,
      'net',
      'tls',
      'http',
      'os',
      'tty',
      'url',
      'process',
      'readline',
      'child_process',
    ],
  },
};

/** Folders whose files are public besides a room's own depth 1: `api/client` is an address of its own. */
export const PUBLIC_FOLDERS: readonly string[] = ['api/client'];
/** Rooms that may import `api/client`: engine rooms never do. */
export const CLIENT_IMPORTERS: readonly string[] = ['cli'];
/** npm packages that become part of the executables, and the room that may use each. */
export const PACKAGES: Readonly<Record<string, readonly string[]>> = {};
