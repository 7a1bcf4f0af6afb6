import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { connect, Socket } from 'node:net';
import type { Kernel } from '#host/kernel.ts';
import { isKernelError } from '#host/kernel-error.ts';

/** What is executed as the shim. */
export interface ShimProgram {
  readonly path: string;
  /** Another copy of a sealed program, when somebody holds this one open for writing. */
  renew?(): void;
}

export const CONTROL_FD = 3;
/**
 * Number of the network namespace's descriptor in the shim; `/proc/<shim>/fd/5` is its path for the OCI
 * runtime.
 */
export const NETNS_FD = 5;
const GIFTS_FD = 6;
/** Room for the id of the container, which the list of processes shows once there is one. */
const UNNAMED = 'unassigned'.padEnd(64, '-');
/** The kernel takes no more in one message. */
const FDS_PER_MESSAGE = 253;
/** As many as a shim takes; their messages fit into the socket, where nobody reads them yet. */
export const MAX_PORTS = 65_536;

type SpawnKernel = Pick<Kernel, 'processes' | 'sockets'>;

/** A shim that is no container's yet. */
export interface NewShim {
  /** Its first control connection. What is written there before it lives waits for it. */
  readonly socket: Socket;
  /** Where it finds the descriptors that its container gives it. Whoever takes the shim closes it. */
  readonly gifts: number;
  /** Until the spawned half has ended; the shim itself is nobody's child. */
  readonly born: Promise<void>;
  /** Inode of its end of the connection: by this it is known before it has said anything. */
  readonly end: number;
}

/** `cgroup`: outside of the daemon's, so that stopping the daemon's leaves the shim alone. */
export function spawnShim(kernel: SpawnKernel, program: ShimProgram, cgroup: string): NewShim {
  const [ours, theirs] = kernel.sockets.pair();
  const [gifts, wishes] = pairBeside(kernel, [ours, theirs]);
  const socket = new Socket({ fd: ours, readable: true, writable: true });
  const end = fstatSync(theirs).ino;
  const born = execute(kernel, program, {
    argv: ['gantry-shim', 'serve', UNNAMED],
    env: {},
    cwd: '/',
    fds: new Map([
      [CONTROL_FD, theirs],
      [GIFTS_FD, wishes],
    ]),
    cgroup,
  }).finally(() => {
    closeSync(theirs);
    closeSync(wishes);
  });
  return { socket, gifts, born, end };
}

/** Another pair; without one the first goes, too. */
function pairBeside(
  { sockets }: Pick<Kernel, 'sockets'>,
  first: readonly number[],
): readonly [number, number] {
  try {
    return sockets.pair();
  } catch (error) {
    for (const fd of first) closeSync(fd);
    throw error;
  }
}

async function execute(
  { processes }: Pick<Kernel, 'processes'>,
  program: ShimProgram,
  rest: Omit<Parameters<Kernel['processes']['spawn']>[0], 'path'>,
): Promise<void> {
  try {
    await processes.spawn({ ...rest, path: program.path });
  } catch (error) {
    if (program.renew === undefined || !isKernelError(error, 'ETXTBSY')) throw error;
    program.renew();
    await processes.spawn({ ...rest, path: program.path });
  }
}

/** Once for each new shim, before the request that counts them; the caller closes its copies. */
export function giveDescriptors({ sockets }: SpawnKernel, shim: NewShim, fds: readonly number[]): void {
  try {
    for (let at = 0; at < fds.length; at += FDS_PER_MESSAGE)
      sockets.sendFds(shim.gifts, fds.slice(at, at + FDS_PER_MESSAGE));
  } finally {
    closeSync(shim.gifts);
  }
}

/**
 * A further connection to a running shim. Its socket's path may be longer than an address can be, hence by
 * descriptor.
 */
export async function connectShim(directory: string): Promise<Socket> {
  const handle = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const socket = connect({ path: `/proc/self/fd/${handle}/shim.sock` });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    socket.once('connect', () => resolve());
    socket.once('error', reject);
    await promise;
    socket.off('error', reject);
    return socket;
  } finally {
    closeSync(handle);
  }
}
