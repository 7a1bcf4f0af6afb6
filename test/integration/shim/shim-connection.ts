/** The protocol of the shim, written down a second time for tests: frames, fields, one connection. */
import type { Socket } from 'node:net';

export const FRAME = {
  control: 0x01,
  attach: 0x02,
  start: 0x10,
  exec: 0x11,
  resize: 0x12,
  signal: 0x13,
  closeStdin: 0x14,
  status: 0x15,
  release: 0x16,
  cancel: 0x17,
  assign: 0x18,
  networkReady: 0x19,
  stdin: 0x20,
  stdinEof: 0x21,
  stdout: 0x30,
  stderr: 0x31,
  end: 0x3f,
  ok: 0x80,
  hello: 0x81,
  execState: 0x82,
  started: 0x83,
  failed: 0x84,
  init: 0x85,
  error: 0x86,
  exit: 0xa0,
  execExit: 0xa1,
  oom: 0xa2,
} as const;

export const FIELD = {
  version: 1,
  pid: 2,
  state: 3,
  execId: 4,
  argv: 5,
  env: 6,
  pidFile: 7,
  runtimeLog: 8,
  consoleSocket: 9,
  flags: 10,
  logPath: 11,
  logMaxSize: 12,
  logMaxFile: 13,
  logAttrs: 14,
  oomV1: 15,
  oomV2: 16,
  width: 17,
  height: 18,
  signal: 19,
  exitCode: 20,
  oomKilled: 21,
  timeNs: 22,
  runtimeStatus: 23,
  logTail: 24,
  stderrTail: 25,
  errno: 26,
  message: 27,
  startTime: 28,
  count: 29,
  spillLimit: 30,
  spillDir: 31,
  plan: 33,
  list: 34,
  index: 35,
  code: 36,
  object: 37,
  netnsPath: 41,
  directory: 42,
  id: 43,
  roots: 44,
} as const;

export type FieldInput = readonly [number: number, value: string | number | bigint | Uint8Array];

export interface Frame {
  readonly type: number;
  readonly tag: number;
  readonly payload: Buffer;
}

export function fields(list: readonly FieldInput[]): Buffer {
  return Buffer.concat(
    list.flatMap(([number, value]) => {
      if (typeof value === 'object') return [header(number, value.length), value];
      const bytes = typeof value === 'string' ? Buffer.from(value) : Buffer.alloc(8);
      if (typeof value !== 'string') bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)));
      return [header(number, bytes.length), bytes];
    }),
  );
}

function header(number: number, length: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16LE(number);
  bytes.writeUInt32LE(length, 4);
  return bytes;
}

export function encodeFrame(type: number, payload: Uint8Array, tag = 0): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(payload.length);
  header[4] = type;
  header.writeUInt16LE(tag, 6);
  return Buffer.concat([header, payload]);
}

function fieldBytes(frame: Frame, number: number): Buffer | undefined {
  for (let at = 0; at < frame.payload.length; ) {
    const length = frame.payload.readUInt32LE(at + 4);
    if (frame.payload.readUInt16LE(at) === number) return frame.payload.subarray(at + 8, at + 8 + length);
    at += 8 + length;
  }
  return undefined;
}

export function intOf(frame: Frame, number: number): number {
  return Number(fieldBytes(frame, number)?.readBigUInt64LE() ?? -1n);
}

export function textOf(frame: Frame, number: number): string {
  return fieldBytes(frame, number)?.toString() ?? '';
}

/** One connection: frames arrive in a queue, `take` waits for the next that fits. */
export class ShimConnection {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  #pending = Buffer.alloc(0);
  #frames: Frame[] = [];
  #waiters: (() => void)[] = [];
  #tag = 0;
  isClosed = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (bytes: Buffer) => this.#receive(bytes));
    socket.on('error', () => undefined);
    this.closed = new Promise((resolve) =>
      socket.once('close', () => {
        this.isClosed = true;
        this.#wake();
        resolve();
      }),
    );
  }

  #wake(): void {
    for (const waiter of this.#waiters.splice(0)) waiter();
  }

  #receive(bytes: Buffer): void {
    let rest = this.#pending.length > 0 ? Buffer.concat([this.#pending, bytes]) : bytes;
    while (rest.length >= 8 && rest.length >= 8 + rest.readUInt32LE()) {
      const end = 8 + rest.readUInt32LE();
      this.#frames.push({
        type: rest.readUInt8(4),
        tag: rest.readUInt16LE(6),
        payload: Buffer.from(rest.subarray(8, end)),
      });
      rest = rest.subarray(end);
    }
    this.#pending = Buffer.from(rest);
    this.#wake();
  }

  send(type: number, list: readonly FieldInput[] = []): number {
    this.#tag += 1;
    this.socket.write(encodeFrame(type, fields(list), this.#tag));
    return this.#tag;
  }

  sendRaw(type: number, bytes: Uint8Array): void {
    this.socket.write(encodeFrame(type, bytes));
  }

  async take(fits: (frame: Frame) => boolean): Promise<Frame> {
    for (;;) {
      const at = this.#frames.findIndex(fits);
      if (at >= 0) return this.#frames.splice(at, 1)[0] as Frame;
      if (this.isClosed) throw new Error('the shim closed the connection');
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
  }

  async request(type: number, list: readonly FieldInput[] = []): Promise<Frame> {
    const tag = this.send(type, list);
    return this.take((frame) => frame.tag === tag);
  }

  async hello(): Promise<Frame[]> {
    const tag = this.send(FRAME.control, [[FIELD.version, 1]]);
    const answer: Frame[] = [];
    for (;;) {
      const frame = await this.take((one) => one.tag === tag);
      if (frame.type === FRAME.ok) return answer;
      answer.push(frame);
    }
  }

  event(type: number): Promise<Frame> {
    return this.take((frame) => frame.type === type && frame.tag === 0);
  }

  /** Everything up to END, per stream. */
  async output(): Promise<{ stdout: Buffer; stderr: Buffer }> {
    const parts: Record<number, Buffer[]> = { [FRAME.stdout]: [], [FRAME.stderr]: [] };
    for (;;) {
      const frame = await this.take((one) =>
        [FRAME.stdout, FRAME.stderr, FRAME.end].some((type) => type === one.type),
      );
      if (frame.type === FRAME.end) break;
      parts[frame.type]?.push(frame.payload);
    }
    return {
      stdout: Buffer.concat(parts[FRAME.stdout] ?? []),
      stderr: Buffer.concat(parts[FRAME.stderr] ?? []),
    };
  }
}
