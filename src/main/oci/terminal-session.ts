import { ReadStream, WriteStream } from 'node:tty';
import type { ProgramKernel } from '#host/program.ts';

/** The terminal that our own user sits at, if there is one. */
function ownTerminal(kernel: ProgramKernel): number | null {
  return [2, 1, 0].find((fd) => kernel.terminals.size(fd) !== null) ?? null;
}

/** Copies between the process's terminal and our standard streams until the process is gone. */
export class TerminalSession {
  readonly #kernel: ProgramKernel;
  readonly #master: number;
  readonly #output: ReadStream;
  readonly #input: WriteStream;
  readonly #own: number | null;
  readonly #ended: Promise<void>;
  readonly #restore: (() => void) | null;
  readonly #onResize = (): void => this.#resize();

  constructor(kernel: ProgramKernel, master: number) {
    this.#kernel = kernel;
    this.#master = master;
    this.#own = ownTerminal(kernel);
    this.#output = new ReadStream(master);
    this.#input = new WriteStream(master);
    // Its other side has gone: EIO.
    this.#ended = new Promise((resolve) => {
      this.#output.on('error', () => resolve());
      this.#output.on('close', () => resolve());
      this.#output.on('end', () => resolve());
    });
    this.#input.on('error', () => undefined);
    this.#output.on('data', (bytes: Buffer) => void process.stdout.write(bytes));
    process.stdin.on('data', (bytes: Buffer) => void this.#input.write(bytes));
    process.stdin.on('error', () => undefined);
    this.#restore = kernel.terminals.makeRaw(0);
    this.#resize();
    process.on('SIGWINCH', this.#onResize);
  }

  #resize(): void {
    const size = this.#own === null ? null : this.#kernel.terminals.size(this.#own);
    if (size !== null && size.width > 0) this.#kernel.terminals.resize(this.#master, size);
  }

  /** After the process's end: what it wrote last is still on its way. */
  async close(): Promise<void> {
    await this.#ended;
    process.off('SIGWINCH', this.#onResize);
    process.stdin.pause();
    await new Promise<void>((resolve) => process.stdout.write('', () => resolve()));
    this.#restore?.();
  }
}
