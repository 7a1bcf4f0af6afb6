import type { ProgramKernel } from '#host/program.ts';
import type { SpecProcess } from '#oci/runtime-spec.ts';

/** The terminal that our own user sits at, if there is one. */
export function ownTerminal(kernel: ProgramKernel): number | null {
  return [2, 1, 0].find((fd) => kernel.terminals.size(fd) !== null) ?? null;
}

/**
 * Its process may ask for the size before anybody shows what the terminal says: it has the user's from then.
 */
export function withOwnSize(kernel: ProgramKernel, process_: SpecProcess): SpecProcess {
  const own = ownTerminal(kernel);
  const size = own === null ? null : kernel.terminals.size(own);
  return size === null || size.width === 0 ? process_ : { ...process_, consoleSize: size };
}
