import type { Writable } from 'node:stream';
import type { AttachFrame, AttachStream } from '#runtime/task.ts';
import type { OutputFrame } from '../ports.ts';
import { DetachDetector } from './detach-keys.ts';

/** The client's end of a hijacked connection. */
export interface StreamClient {
  /** Bytes from the client; its end is a half-closed connection. Null when stdin is not wanted. */
  readonly input: AsyncIterable<Uint8Array> | null;
  /** Resolves when the client can take more. Rejects when it is gone. */
  write(frame: OutputFrame): Promise<void>;
  /** Aborted as soon as the connection is gone. */
  readonly signal: AbortSignal;
}

export type CopyEnd = 'ended' | 'detached' | 'gone';

function drained(input: Writable): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      input.off('drain', done);
      input.off('close', done);
      resolve();
    };
    input.on('drain', done);
    input.on('close', done);
  });
}

async function copyInput(
  stream: AttachStream,
  client: StreamClient,
  keys: Uint8Array | null,
): Promise<'detached' | 'closed'> {
  const { input } = stream;
  if (input === null || client.input === null) return 'closed';
  // A process that no longer reads is no error of the client's.
  input.on('error', () => undefined);
  const detector = keys === null ? null : new DetachDetector(keys);
  for await (const chunk of client.input) {
    const { data, detached } = detector?.feed(chunk) ?? { data: chunk, detached: false };
    if (data.length > 0 && !input.destroyed && !input.write(data)) {
      await drained(input);
    }
    if (detached) return 'detached';
  }
  if (!input.destroyed) input.end();
  return 'closed';
}

async function copyOutput(stream: AttachStream, client: StreamClient): Promise<'ended' | 'gone'> {
  for await (const frame of stream.output as AsyncIterable<AttachFrame>) {
    try {
      await client.write(frame);
    } catch {
      return 'gone';
    }
  }
  return 'ended';
}

/**
 * Copies both ways until the process's streams end, the client detaches or is gone. `keys` null: no detach
 * sequence. A client
 * that half-closes still gets the rest of the output.
 */
export async function copyStreams(
  stream: AttachStream,
  client: StreamClient,
  keys: Uint8Array | null,
): Promise<CopyEnd> {
  const { promise: leave, resolve } = Promise.withResolvers<CopyEnd>();
  const onAbort = (): void => resolve('gone');
  client.signal.addEventListener('abort', onAbort);
  if (client.signal.aborted) onAbort();
  const output = copyOutput(stream, client).then(resolve, () => resolve('ended'));
  void copyInput(stream, client, keys).then(
    (end) => {
      if (end === 'detached') resolve('detached');
    },
    () => undefined,
  );
  const end = await leave;
  client.signal.removeEventListener('abort', onAbort);
  if (end === 'ended') await output;
  else stream.detach();
  return end;
}
