import type { Socket } from 'node:net';
import { Readable, Writable } from 'node:stream';
import { LIMITS } from '#base/limits.ts';
import type { AttachFrame, AttachOptions, AttachStream } from '../task.ts';
import {
  ATTACH_FLAG,
  encodeFields,
  encodeFrame,
  FIELD,
  FRAME,
  type Frame,
  FrameDecoder,
} from './protocol.ts';

/**
 * One client's attach connection. It exists before its socket, so that a client can attach to a container
 * that is about to
 * start: input waits, output comes with the first byte.
 */
export class AttachChannel implements AttachStream {
  readonly output: Readable;
  readonly input: Writable | null;
  readonly options: AttachOptions;
  readonly #onDetach: (channel: AttachChannel) => void;
  readonly #decoder = new FrameDecoder();
  readonly #bound = Promise.withResolvers<Socket | null>();
  readonly #ready = Promise.withResolvers<void>();
  #socket: Socket | null = null;
  #ended = false;

  constructor(options: AttachOptions, onDetach: (channel: AttachChannel) => void) {
    this.options = options;
    this.#onDetach = onDetach;
    this.output = new Readable({
      objectMode: true,
      highWaterMark: 4,
      read: () => this.#socket?.resume(),
      destroy: (error, done) => {
        this.detach();
        done(error);
      },
    });
    this.input = options.stdin ? this.#makeInput() : null;
  }

  /**
   * Attaches to a process through a fresh connection; resolves when the shim sends every byte from now on.
   */
  bind(socket: Socket, execId: string | null): Promise<void> {
    if (this.#ended) {
      socket.destroy();
      return Promise.resolve();
    }
    const { stdin, stdout, stderr } = this.options;
    const flags =
      (stdin ? ATTACH_FLAG.stdin : 0) | (stdout ? ATTACH_FLAG.stdout : 0) | (stderr ? ATTACH_FLAG.stderr : 0);
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => this.finish());
    const fields = encodeFields([
      [FIELD.execId, execId ?? undefined],
      [FIELD.flags, flags],
    ]);
    socket.write(encodeFrame(FRAME.attach, 1, fields));
    return this.#ready.promise;
  }

  /** No more output will come: the process ended, or never started. */
  finish(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#bound.resolve(null);
    this.#ready.resolve();
    this.#onDetach(this);
    this.output.push(null);
  }

  detach(): void {
    this.finish();
    // The shim wakes by it and has time; who waits for the end goes first.
    setImmediate(() => this.#socket?.destroy());
  }

  #receive(chunk: Buffer): void {
    let frames: Frame[];
    try {
      frames = this.#decoder.push(chunk);
    } catch {
      this.detach();
      return;
    }
    let more = true;
    for (const frame of frames) more = this.#take(frame) && more;
    if (!more) this.#socket?.pause();
  }

  /** False when the reader should catch up first. */
  #take(frame: Frame): boolean {
    if (this.#ended) return true;
    if (frame.type === FRAME.ok) {
      this.#bound.resolve(this.#socket);
      this.#ready.resolve();
    } else if (frame.type === FRAME.stdout || frame.type === FRAME.stderr) {
      const data: AttachFrame = {
        stream: frame.type === FRAME.stdout ? 'stdout' : 'stderr',
        data: frame.payload,
      };
      return this.output.push(data);
    } else if (frame.type === FRAME.end || frame.type === FRAME.error) {
      // The shim waits for this: it drops what was on its way there.
      this.detach();
    }
    return true;
  }

  #makeInput(): Writable {
    const send = (type: number, payload: Uint8Array): Promise<void> =>
      this.#bound.promise.then((socket) => {
        if (this.#ended || socket === null || socket.destroyed) return undefined;
        const { promise, resolve } = Promise.withResolvers<void>();
        // The callback comes when the kernel took the bytes: a process that does not read holds the client
        // up.
        socket.write(encodeFrame(type, 0, payload), () => resolve());
        return promise;
      });
    const sendAll = async (chunk: Buffer): Promise<void> => {
      for (let at = 0; at < chunk.length; at += LIMITS.shimFrameBytes) {
        await send(FRAME.stdin, chunk.subarray(at, at + LIMITS.shimFrameBytes));
      }
    };
    return new Writable({
      highWaterMark: LIMITS.shimFrameBytes,
      write: (chunk: Buffer, _encoding, done) => void sendAll(chunk).then(() => done(), done),
      // Half-closed, not by a frame: that cannot fail when the shim was killed.
      final: (done) => void this.#bound.promise.then((socket) => socket?.end()).then(() => done(), done),
    });
  }
}
