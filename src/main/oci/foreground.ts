import { constants } from 'node:os';
import type { ProcessIdentity } from '#host/kernel.ts';
import type { ProgramKernel } from '#host/program.ts';
import { awaited, type Launched } from './launcher.ts';
import type { TerminalSession } from './terminal-session.ts';

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

/** Its code is loaded when there is a terminal: node takes long to load what it needs. */
async function sessionOf(kernel: ProgramKernel, master: number | null): Promise<TerminalSession | null> {
  if (master === null) return null;
  const { TerminalSession } = await import('./terminal-session.ts');
  return new TerminalSession(kernel, master);
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
  const session = await sessionOf(kernel, launched.master);
  try {
    await go();
    return await awaited(launched.exited);
  } finally {
    await session?.close();
    stop();
  }
}
