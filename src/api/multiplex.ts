/*
 * The framing of attach, exec and logs without a terminal: stream number (0 stdin, 1 stdout, 2 stderr), three
 * zero bytes, the payload's length as 32 bits big endian, the payload.
 */
export type OutputStreamName = 'stdout' | 'stderr';

export interface StreamFrame {
  readonly stream: OutputStreamName;
  readonly data: Uint8Array;
}

export const RAW_STREAM = 'application/vnd.docker.raw-stream';
export const MULTIPLEXED_STREAM = 'application/vnd.docker.multiplexed-stream';

const HEADER_BYTES = 8;

/** The eight bytes in front of `length` bytes of a stream. */
export function frameHeader(stream: OutputStreamName, length: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header[0] = stream === 'stdout' ? 1 : 2;
  header.writeUInt32BE(length, 4);
  return header;
}

export function encodeFrame(frame: StreamFrame): Buffer {
  return Buffer.concat([frameHeader(frame.stream, frame.data.length), frame.data]);
}

export class BadFrame extends Error {}

/**
 * Splits a byte stream into frames. Payloads are handed on in the pieces they arrive in, so that memory is
 * bounded by the chunks, not by what a header claims.
 */
export class FrameDecoder {
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerBytes = 0;
  #left = 0;
  #stream: OutputStreamName = 'stdout';

  decode(chunk: Uint8Array): StreamFrame[] {
    const frames: StreamFrame[] = [];
    let at = 0;
    while (at < chunk.length) {
      if (this.#left === 0) {
        at += this.#takeHeader(chunk, at);
        continue;
      }
      const data = chunk.subarray(at, at + this.#left);
      at += data.length;
      this.#left -= data.length;
      frames.push({ stream: this.#stream, data });
    }
    return frames;
  }

  #takeHeader(chunk: Uint8Array, at: number): number {
    const taken = Math.min(HEADER_BYTES - this.#headerBytes, chunk.length - at);
    this.#header.set(chunk.subarray(at, at + taken), this.#headerBytes);
    this.#headerBytes += taken;
    if (this.#headerBytes < HEADER_BYTES) return taken;
    this.#headerBytes = 0;
    const number = this.#header[0] ?? 0;
    if (number > 2) throw new BadFrame(`unrecognized input header: ${number}`);
    this.#stream = number === 2 ? 'stderr' : 'stdout';
    this.#left = this.#header.readUInt32BE(4);
    return taken;
  }

  /** True between frames: where a stream may end. */
  get isAtBoundary(): boolean {
    return this.#left === 0 && this.#headerBytes === 0;
  }
}
