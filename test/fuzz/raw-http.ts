import { readdirSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { until } from '../support/command.ts';
import type { TestDaemon } from '../support/daemon.ts';

export interface RawAnswer {
  readonly text: string;
  /** Status numbers of all answers that came. */
  readonly statuses: readonly number[];
  /** The daemon ended the connection. */
  readonly closed: boolean;
  readonly milliseconds: number;
}

export interface RawOptions {
  /** Sent in this order, each when the one before is in the kernel. */
  readonly parts: readonly (Buffer | string)[];
  /** Sent when the first bytes of an answer are there. */
  readonly afterAnswer?: string;
  /** Says that nothing more comes; the answer is read on. */
  readonly halfClose?: boolean;
  /** Gives up after so long. */
  readonly waitMs?: number;
  /** Enough was seen. */
  readonly until?: RegExp;
}

function write(socket: Socket, part: Buffer | string): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('close', done);
      resolve();
    };
    socket.once('close', done);
    socket.write(part, done);
  });
}

/** Sends bytes over the daemon's socket as they are, and collects what comes back. */
export async function sendRaw(socketPath: string, options: RawOptions): Promise<RawAnswer> {
  const started = performance.now();
  const socket = connect({ path: socketPath, allowHalfOpen: true });
  socket.on('error', () => undefined);
  const chunks: Buffer[] = [];
  let bytes = 0;
  const seen = (): string => Buffer.concat(chunks).toString('latin1');
  const ended = Promise.withResolvers<boolean>();
  const answered = Promise.withResolvers<void>();
  socket.on('data', (chunk: Buffer) => {
    answered.resolve();
    bytes += chunk.length;
    if (bytes < 1 << 20) chunks.push(chunk);
    if (options.until?.test(seen()) === true) ended.resolve(false);
  });
  socket.on('end', () => ended.resolve(true));
  socket.on('close', () => ended.resolve(true));
  const timer = setTimeout(() => ended.resolve(false), options.waitMs ?? 3000);
  const send = async (): Promise<void> => {
    for (const part of options.parts) if (!socket.destroyed) await write(socket, part);
    if (options.afterAnswer !== undefined) {
      await answered.promise;
      await write(socket, options.afterAnswer);
    }
    if (options.halfClose === true) socket.end();
  };
  void send();
  const closed = await ended.promise;
  clearTimeout(timer);
  socket.destroy();
  const text = seen();
  const statuses = [...text.matchAll(/HTTP\/1\.[01] (\d{3})/g)].map((match) => Number(match[1]));
  return { text, statuses, closed, milliseconds: performance.now() - started };
}

export function descriptorCount(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** The most memory the daemon has ever had. */
export function peakBytes(pid: number): number {
  const found = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(found?.[1] ?? 0) * 1024;
}

/** Descriptors come back to what they were, two more for what is opened once. */
export async function descriptorsBack(daemon: TestDaemon, baseline: number): Promise<void> {
  await until(() => (descriptorCount(daemon.pid) <= baseline + 2 ? true : undefined), {
    timeoutMs: 25_000,
    what: `${baseline} descriptors again`,
  }).catch((error: unknown) => {
    throw new Error(`${descriptorCount(daemon.pid)} descriptors are open, ${baseline} before`, {
      cause: error,
    });
  });
}

/** The API answers within a second, by the same process as before. */
export async function assertAlive(daemon: TestDaemon, pid: number): Promise<void> {
  const answer = await daemon.api('/_ping', { timeoutMs: 1000 });
  if (answer.status !== 200) throw new Error(`/_ping: ${answer.status}`);
  if (daemon.pid !== pid) throw new Error('the daemon is another one');
}
