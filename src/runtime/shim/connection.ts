import type { Socket } from 'node:net';
import { EngineError, errorMessage } from '#base/errors.ts';
import {
  encodeFields,
  encodeFrame,
  FIELD,
  Fields,
  type FieldValue,
  FRAME,
  type Frame,
  FrameDecoder,
  PROTOCOL_VERSION,
} from './protocol.ts';

/** What a shim tells unasked, as frames of type exit, execExit and oom. */
export interface ControlEvents {
  event(frame: Frame, fields: Fields): void;
  /** Once, when the connection is gone, for whatever reason. */
  closed(): void;
}

interface Pending {
  readonly frames: Frame[];
  readonly resolve: (frames: Frame[]) => void;
  readonly reject: (error: Error) => void;
}

const FINAL: ReadonlySet<number> = new Set([FRAME.ok, FRAME.started, FRAME.failed, FRAME.error]);
const EVENTS: ReadonlySet<number> = new Set([FRAME.exit, FRAME.execExit, FRAME.oom]);
const MAX_TAG = 0xffff;

/** A control connection to one shim: requests by tag, events as they come. */
export class ControlConnection {
  readonly #socket: Socket;
  readonly #events: ControlEvents;
  readonly #pending = new Map<number, Pending>();
  readonly #decoder = new FrameDecoder();
  #tag = 0;
  #closed = false;

  constructor(socket: Socket, events: ControlEvents) {
    this.#socket = socket;
    this.#events = events;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => this.#close());
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /**
   * Every frame of the answer, the final one last. Errors: `unavailable` when the shim goes away first, and
   * what `failure` makes
   * of an error frame. A failed start or exec is an answer, not an error.
   */
  async request(type: number, fields: readonly (readonly [number, FieldValue])[] = []): Promise<Frame[]> {
    if (this.#closed) throw gone();
    const payload = encodeFields(fields);
    const tag = this.#nextTag();
    const { promise, resolve, reject } = Promise.withResolvers<Frame[]>();
    this.#pending.set(tag, { frames: [], resolve, reject });
    this.#socket.write(encodeFrame(type, tag, payload));
    const frames = await promise;
    const last = frames.at(-1);
    if (last?.type === FRAME.error) throw failure(new Fields(last.payload));
    return frames;
  }

  /** The first frame of a connection: becomes a control connection and tells the shim's state. */
  hello(): Promise<Frame[]> {
    return this.request(FRAME.control, [[FIELD.version, PROTOCOL_VERSION]]);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #nextTag(): number {
    do this.#tag = this.#tag >= MAX_TAG ? 1 : this.#tag + 1;
    while (this.#pending.has(this.#tag));
    return this.#tag;
  }

  #receive(chunk: Buffer): void {
    try {
      for (const frame of this.#decoder.push(chunk)) this.#dispatch(frame);
    } catch (error) {
      this.#socket.destroy(error instanceof Error ? error : new Error(errorMessage(error)));
    }
  }

  #dispatch(frame: Frame): void {
    if (frame.tag === 0) {
      if (EVENTS.has(frame.type)) this.#events.event(frame, new Fields(frame.payload));
      return;
    }
    const pending = this.#pending.get(frame.tag);
    if (pending === undefined) return;
    pending.frames.push(frame);
    if (!FINAL.has(frame.type)) return;
    this.#pending.delete(frame.tag);
    pending.resolve(pending.frames);
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const pending of this.#pending.values()) pending.reject(gone());
    this.#pending.clear();
    this.#events.closed();
  }
}

function gone(): EngineError {
  return new EngineError('unavailable', 'the shim of this container is gone');
}

const ESRCH = 3;
const EEXIST = 17;
const ENOTTY = 25;

function failure(fields: Fields): EngineError {
  const errno = fields.int(FIELD.errno);
  const message = fields.text(FIELD.message);
  if (errno === ESRCH) return new EngineError('notFound', 'process not found');
  if (errno === EEXIST || errno === ENOTTY)
    return new EngineError('conflict', `shim: ${message} (errno ${errno})`);
  return new EngineError('internal', `shim: ${message} (errno ${errno})`);
}
