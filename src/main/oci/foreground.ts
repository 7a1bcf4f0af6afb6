import { constants } from 'node:os';
import { ReadStream, WriteStream } from 'node:tty';
import type { ProcessIdentity } from '#host/kernel.ts';
import type { ProgramKernel } from '#host/program.ts';
import { awaited, type Launched } from './launcher.ts';

/** Never handed on: those that cannot be caught, those about our own children and descriptors. */
const OWN = new Set([
  'SIGKILL',
  'SIGSTOP',
  'SIGCHLD',
  'SIGPIPE',
  'SIGWINCH',
  'SIGURG',
  'SIGPROF',
  'SIGCLD',
  'SIGIOT',
]);
/** A fault of ours is ours. */
const FAULTS = new Set(['SIGSEGV', 'SIGBUS', 'SIGFPE', 'SIGILL']);

function forwardSignals(kernel: ProgramKernel, process_: ProcessIdentity): () => void {
  const undo: (() => void)[] = [];
  for (const [name, number] of Object.entries(constants.signals)) {
    if (OWN.has(name) || FAULTS.has(name)) continue;
    const forward = (): void => void kernel.processes.signal(process_, number);
    try {
      process.on(name, forward);
      undo.push(() => process.off(name, forward));
    } catch {
      // A signal that the platform keeps for itself.
    }
  }
  return () => undo.forEach((step) => step());
}

/** The terminal that our own user sits at, if there is one. */
function ownTerminal(kernel: ProgramKernel): number | null {
  return [2, 1, 0].find((fd) => kernel.terminals.size(fd) !== null) ?? null;
}

/** Copies between the process's terminal and our standard streams until the process is gone. */
class TerminalSession {
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

/**
 * Stays with a process until it ends: signals are handed on, a terminal is shown. `go` is called when nothing
 * can be missed any more. Returns its exit code.
 */
export async function attend(
  kernel: ProgramKernel,
  launched: Launched & { readonly startTime: number },
  go: () => Promise<void>,
): Promise<number> {
  const stop = forwardSignals(kernel, launched);
  const session = launched.master === null ? null : new TerminalSession(kernel, launched.master);
  try {
    await go();
    return await awaited(launched.exited);
  } finally {
    await session?.close();
    stop();
  }
}
