import { EngineError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';

/*
 * The bytes between daemon and shim; `docs/flows/shim-protocol.md` is the contract. A frame is
 * `u32 length, u8 type, u8 zero, u16 tag, payload`, all little-endian; a payload is a list of fields
 * `u16 number, u16 zero, u32 length, bytes`, or raw data.
 */

export const PROTOCOL_VERSION = 3;
/** Shims of this version on take launch plans; older ones are left from an earlier release. */
export const PLAN_VERSION = 2;

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
  oomV1Dir: 15,
  oomV2Dir: 16,
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
  shmOf: 32,
  plan: 33,
  list: 34,
  index: 35,
  code: 36,
  object: 37,
  waitStatus: 38,
  stdioUid: 39,
  stdioGid: 40,
  netnsPath: 41,
  directory: 42,
  id: 43,
  roots: 44,
  ports: 45,
  clients: 46,
} as const;

/** States of a shim, in the field `state`. */
export const SHIM_STATE = { new: 0, starting: 1, running: 2, ended: 3, failed: 4 } as const;

/** In the field `flags`. */
export const ASSIGN_FLAG = { ociRuntime: 1 } as const;
export const START_FLAG = {
  stdinOpen: 1,
  stdinOnce: 2,
  hideUnifiedCgroup: 4,
  terminal: 16,
  networkLater: 64,
} as const;
export const EXEC_FLAG = { stdinOpen: 1, noStreams: 8, terminal: 16, askedAgain: 32 } as const;
export const ATTACH_FLAG = { stdin: 1, stdout: 2, stderr: 4 } as const;

export interface Frame {
  readonly type: number;
  readonly tag: number;
  readonly payload: Buffer;
}

/** `undefined` values are left out; a list repeats its field. */
export type FieldValue = number | bigint | string | Uint8Array | readonly string[] | undefined;

const FRAME_HEADER = 8;
const FIELD_HEADER = 8;

function protocolError(why: string): EngineError {
  return new EngineError('internal', `shim protocol: ${why}`);
}

function encodeField(field: number, value: string | number | bigint | Uint8Array): Buffer {
  const isNumber = typeof value === 'number' || typeof value === 'bigint';
  const size = isNumber ? 8 : typeof value === 'string' ? Buffer.byteLength(value) : value.length;
  const bytes = Buffer.allocUnsafe(FIELD_HEADER + size);
  bytes.writeUInt32LE(field, 0);
  bytes.writeUInt32LE(size, 4);
  if (isNumber) {
    bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)), FIELD_HEADER);
  } else if (typeof value === 'string') {
    if (value.includes('\0'))
      throw new EngineError('invalidArgument', 'a NUL character cannot be passed to a process');
    bytes.write(value, FIELD_HEADER);
  } else {
    bytes.set(value, FIELD_HEADER);
  }
  return bytes;
}

export function encodeFields(fields: readonly (readonly [number, FieldValue])[]): Buffer {
  const parts: Buffer[] = [];
  for (const [field, value] of fields) {
    if (value === undefined) continue;
    const values = typeof value === 'object' && !(value instanceof Uint8Array) ? value : [value];
    for (const one of values) parts.push(encodeField(field, one));
  }
  return Buffer.concat(parts);
}

/** Errors: `tooLarge` for a payload beyond what the shim takes. */
export function encodeFrame(type: number, tag: number, payload: Uint8Array): Buffer {
  const limit = type === FRAME.start || type === FRAME.exec ? LIMITS.shimRequestBytes : LIMITS.shimFrameBytes;
  if (payload.length > limit)
    throw new EngineError('tooLarge', `shim request of ${payload.length} bytes, at most ${limit}`);
  const frame = Buffer.allocUnsafe(FRAME_HEADER + payload.length);
  frame.writeUInt32LE(payload.length, 0);
  frame.writeUInt8(type, 4);
  frame.writeUInt8(0, 5);
  frame.writeUInt16LE(tag, 6);
  frame.set(payload, FRAME_HEADER);
  return frame;
}

/**
 * Cuts a byte stream into frames. Memory stays below one frame and one chunk, whatever the other side sends.
 */
export class FrameDecoder {
  #rest: Buffer = Buffer.alloc(0);

  /** Errors: `internal` on a frame beyond the limit; the connection is to be closed then. */
  push(chunk: Buffer): Frame[] {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const frames: Frame[] = [];
    let at = 0;
    while (bytes.length - at >= FRAME_HEADER) {
      const length = bytes.readUInt32LE(at);
      if (length > LIMITS.shimFrameBytes) throw protocolError(`a frame of ${length} bytes`);
      const end = at + FRAME_HEADER + length;
      if (bytes.length < end) break;
      const payload = bytes.subarray(at + FRAME_HEADER, end);
      frames.push({ type: bytes.readUInt8(at + 4), tag: bytes.readUInt16LE(at + 6), payload });
      at = end;
    }
    this.#rest = at === 0 ? bytes : Buffer.from(bytes.subarray(at));
    return frames;
  }
}

/** The fields of a payload; unknown ones are kept and never looked at. */
export class Fields {
  readonly #values = new Map<number, Buffer[]>();

  constructor(payload: Buffer) {
    let at = 0;
    while (at < payload.length) {
      if (payload.length - at < FIELD_HEADER) throw protocolError('a torn field header');
      const length = payload.readUInt32LE(at + 4);
      const end = at + FIELD_HEADER + length;
      if (end > payload.length)
        throw protocolError(`a field of ${length} bytes in a payload of ${payload.length}`);
      const field = payload.readUInt16LE(at);
      const list = this.#values.get(field);
      const value = payload.subarray(at + FIELD_HEADER, end);
      if (list === undefined) this.#values.set(field, [value]);
      else list.push(value);
      at = end;
    }
  }

  has(field: number): boolean {
    return this.#values.has(field);
  }

  bigint(field: number, index = 0): bigint | undefined {
    const bytes = this.#values.get(field)?.[index];
    if (bytes === undefined) return undefined;
    if (bytes.length !== 8) throw protocolError(`field ${field} has ${bytes.length} bytes instead of 8`);
    return bytes.readBigInt64LE();
  }

  /** 0 when absent. Errors: `internal` beyond 2⁵³. */
  int(field: number): number {
    const value = Number(this.bigint(field) ?? 0n);
    if (!Number.isSafeInteger(value)) throw protocolError(`field ${field} is out of range`);
    return value;
  }

  /** '' when absent. */
  text(field: number): string {
    return this.#values.get(field)?.[0]?.toString('utf8') ?? '';
  }
}
