import { chmod, chown, lstat, readFile, unlink } from 'node:fs/promises';
import type { Server } from 'node:http';
import { connect } from 'node:net';
import { EngineError, errorCode, errorMessage } from '#base/errors.ts';

/** One `-H`. */
export type ListenAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  /** Sockets that a service manager opened for us. `name`: `*`, empty, or a number. */
  | { readonly kind: 'fd'; readonly name: string };

const SOCKET_MODE = 0o660;

function listening(server: Server, start: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.once('listening', () => {
      server.off('error', reject);
      resolve();
    });
    start();
  });
}

/** Whether anybody answers on a unix socket. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** Removes what a dead daemon left; somebody else's file or a living socket is an error. */
async function clearSocket(path: string): Promise<void> {
  const stat = await lstat(path).catch(() => null);
  if (stat === null) return;
  if (!stat.isSocket())
    throw new EngineError('conflict', `can't create unix socket ${path}: a file that is no socket is there`);
  if (await answers(path)) {
    throw new EngineError('conflict', `can't create unix socket ${path}: another process listens on it`);
  }
  await unlink(path);
}

/** Number of a group by name or number; null when there is none. */
export async function groupId(name: string): Promise<number | null> {
  if (/^\d+$/.test(name)) return Number(name);
  const lines = (await readFile('/etc/group', 'utf8').catch(() => '')).split('\n');
  const entry = lines.map((line) => line.split(':')).find((fields) => fields[0] === name);
  return entry?.[2] === undefined ? null : Number(entry[2]);
}

/**
 * Listens on a unix socket that only its owner and a group may use; the socket never has wider permissions.
 */
export async function listenUnix(server: Server, path: string, gid: number): Promise<void> {
  await clearSocket(path);
  const mask = process.umask(0o177);
  // Bound before the call returns: what others make meanwhile must not get this mask.
  const bound = listening(server, () => server.listen({ path }));
  process.umask(mask);
  try {
    await bound;
  } catch (error) {
    throw new EngineError('internal', `can't create unix socket ${path}: ${errorMessage(error)}`, {
      cause: error,
    });
  }
  await chown(path, 0, gid);
  await chmod(path, SOCKET_MODE);
}

export async function listenTcp(
  server: Server,
  address: { readonly host: string; readonly port: number },
): Promise<void> {
  const { host, port } = address;
  try {
    await listening(server, () => server.listen({ host, port }));
  } catch (error) {
    const reason = errorCode(error) === 'EADDRINUSE' ? 'bind: address already in use' : errorMessage(error);
    throw new EngineError('internal', `failed to listen on tcp://${host}:${port}: ${reason}`, {
      cause: error,
    });
  }
}

export function listenFd(server: Server, fd: number): Promise<void> {
  return listening(server, () => server.listen({ fd }));
}
