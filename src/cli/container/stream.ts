import { FrameDecoder } from '#api/multiplex.ts';
import type { Hijacked } from '#api/client/client.ts';

/** Writes and waits where the reader is slow. */
async function write(stream: NodeJS.WriteStream, data: Uint8Array): Promise<void> {
  if (!stream.write(data)) await new Promise<void>((resolve) => stream.once('drain', resolve));
}

export interface OutputOptions {
  readonly output: AsyncIterable<Buffer>;
  /** True: raw bytes of a terminal; false: frames of both streams. */
  readonly raw: boolean;
}

/** Copies a container's output to this process's, to its end. */
export async function copyOutput(options: OutputOptions): Promise<void> {
  const decoder = new FrameDecoder();
  for await (const chunk of options.output) {
    if (options.raw) {
      await write(process.stdout, chunk);
      continue;
    }
    for (const frame of decoder.decode(chunk)) {
      await write(frame.stream === 'stdout' ? process.stdout : process.stderr, frame.data);
    }
  }
}

export interface SessionOptions {
  readonly hijacked: Hijacked;
  readonly stdin: boolean;
  readonly tty: boolean;
  /** Tells the engine the terminal's size. */
  readonly resize: (height: number, width: number) => Promise<void>;
}

/** Puts the terminal into raw mode, and follows its size; returns what undoes it. */
async function useTerminal(options: SessionOptions): Promise<() => void> {
  const tell = (): void => {
    if (process.stdout.rows > 0)
      options.resize(process.stdout.rows, process.stdout.columns).catch(() => undefined);
  };
  const isRaw = options.stdin && process.stdin.isTTY;
  if (isRaw) process.stdin.setRawMode(true);
  process.on('SIGWINCH', tell);
  tell();
  return () => {
    process.off('SIGWINCH', tell);
    if (isRaw) process.stdin.setRawMode(false);
  };
}

/** Connects this process's streams with a container's until the container's output ends. */
export async function runSession(options: SessionOptions): Promise<void> {
  const { socket, output } = options.hijacked;
  const undo = options.tty && process.stdout.isTTY ? await useTerminal(options) : () => undefined;
  try {
    if (options.stdin) {
      process.stdin.pipe(socket, { end: false });
      process.stdin.once('end', () => socket.end());
      process.stdin.once('error', () => socket.end());
    }
    await copyOutput({ output, raw: options.tty });
  } finally {
    undo();
    process.stdin.unpipe(socket);
    process.stdin.pause();
    process.stdin.unref?.();
    socket.destroy();
  }
}
