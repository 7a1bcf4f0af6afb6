import { closeSync, constants, openSync } from 'node:fs';
import { connect, Socket } from 'node:net';
import { join } from 'node:path';
import type { Kernel } from '#host/kernel.ts';
import { isKernelError } from '#host/kernel-error.ts';

/** What is executed as the shim. */
export interface ShimProgram {
  readonly path: string;
  /** Another copy of a sealed program, when somebody holds this one open for writing. */
  renew?(): void;
}

export interface ShimSpawnOptions {
  readonly program: ShimProgram;
  readonly id: string;
  readonly directory: string;
  /** Cgroup outside of the daemon's, so that stopping the daemon's leaves the shim alone. */
  readonly cgroup: string;
  readonly rootfsFd: number;
  /** Sockets bound to published ports: the shim keeps them, so that no other program gets the ports. */
  readonly heldPorts: readonly number[];
  /** The shim's ends of further connections; the caller closes its copies. */
  readonly connections: readonly number[];
}

const COMPLAINTS_FD = 2;
const CONTROL_FD = 3;
const ROOTFS_FD = 4;
/**
 * Number of the network namespace's descriptor in the shim; `/proc/<shim>/fd/5` is its path for the OCI
 * runtime.
 */
export const NETNS_FD = 5;
const FIRST_PORT_FD = 6;

export interface NewShim {
  /** Its first control connection. What is written there before it lives waits for it. */
  readonly socket: Socket;
  /** Until the spawned half has ended; the shim itself is nobody's child. */
  readonly born: Promise<void>;
}

export function spawnShim(kernel: Pick<Kernel, 'processes' | 'sockets'>, options: ShimSpawnOptions): NewShim {
  const [ours, theirs] = kernel.sockets.pair();
  const socket = new Socket({ fd: ours, readable: true, writable: true });
  return { socket, born: giveBirth(kernel, options, theirs) };
}

async function giveBirth(
  kernel: Pick<Kernel, 'processes' | 'sockets'>,
  options: ShimSpawnOptions,
  theirs: number,
): Promise<void> {
  let complaints = -1;
  try {
    complaints = openSync(join(options.directory, 'shim.log'), 'a', 0o600);
    const fds = new Map([
      [COMPLAINTS_FD, complaints],
      [CONTROL_FD, theirs],
      [ROOTFS_FD, options.rootfsFd],
    ]);
    const { heldPorts, connections } = options;
    [...heldPorts, ...connections].forEach((fd, i) => fds.set(FIRST_PORT_FD + i, fd));
    await execute(kernel, options.program, {
      argv: ['gantry-shim', 'serve', options.id, String(heldPorts.length), String(connections.length)],
      env: {},
      cwd: options.directory,
      fds,
      cgroup: options.cgroup,
    });
  } finally {
    closeSync(theirs);
    if (complaints >= 0) closeSync(complaints);
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
