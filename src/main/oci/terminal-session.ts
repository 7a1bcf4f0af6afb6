import { ReadStream } from 'node:tty';
import { setTimeout as pause } from 'node:timers/promises';
import type { ProgramKernel } from '#host/program.ts';
import { ownTerminal } from './own-terminal.ts';

const SILENCE_MS = 200;
const LOOK_MS = 20;

/** Copies between the process's terminal and our standard streams until the process is gone. */
export class TerminalSession {
  readonly #kernel: ProgramKernel;
  readonly #master: number;
  /** One stream for both ways, which never waits: who does not read must not keep us from reading. */
  readonly #stream: ReadStream;
  readonly #own: number | null;
  readonly #ended: Promise<void>;
  readonly #restore: (() => void) | null;
  #shownAt = 0;
  readonly #onResize = (): void => this.#resize();

  constructor(kernel: ProgramKernel, master: number) {
    this.#kernel = kernel;
    this.#master = master;
    this.#own = ownTerminal(kernel);
    this.#stream = new ReadStream(master);
    // Its other side has gone: EIO.
    this.#ended = new Promise((resolve) => {
      this.#stream.on('error', () => resolve());
      this.#stream.on('close', () => resolve());
      this.#stream.on('end', () => resolve());
    });
    this.#stream.on('data', (bytes: Buffer) => this.#show(bytes));
    process.stdin.on('data', (bytes: Buffer) => this.#type(bytes));
    process.stdin.on('error', () => undefined);
    this.#restore = kernel.terminals.makeRaw(0);
    this.#resize();
    process.on('SIGWINCH', this.#onResize);
  }

  /** Who shows slowly is waited for, and so is the process then. */
  #show(bytes: Buffer): void {
    this.#shownAt = performance.now();
    if (process.stdout.write(bytes)) return;
    this.#stream.pause();
    process.stdout.once('drain', () => this.#stream.resume());
  }

  #type(bytes: Buffer): void {
    if (this.#stream.write(bytes)) return;
    process.stdin.pause();
    this.#stream.once('drain', () => process.stdin.resume());
  }

  #resize(): void {
    const size = this.#own === null ? null : this.#kernel.terminals.size(this.#own);
    if (size !== null && size.width > 0) this.#kernel.terminals.resize(this.#master, size);
  }

  /**
   * After the process's end: what it wrote last is still on its way. Somebody that it left behind may have
   * the terminal open: then silence is the end.
   */
  async close(): Promise<void> {
    let over = false;
    const ended = this.#ended.then(() => (over = true));
    const from = performance.now();
    while (!over && performance.now() - Math.max(from, this.#shownAt) < SILENCE_MS) {
      await Promise.race([ended, pause(LOOK_MS)]);
    }
    process.off('SIGWINCH', this.#onResize);
    process.stdin.pause();
    await new Promise<void>((resolve) => process.stdout.write('', () => resolve()));
    this.#restore?.();
  }
}
