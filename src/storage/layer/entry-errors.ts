import { EngineError, errorCode } from '#base/errors.ts';
import { isKernelError } from '#host/kernel-error.ts';
import type { TarEntry, TarType } from './tar-header.ts';
import type { TarHandler } from './tar-parser.ts';

/** The call that makes an entry, as the reference names it in its errors. */
const CALLS: Readonly<Record<TarType, string>> = {
  file: 'openat',
  directory: 'mkdirat',
  hardlink: 'linkat',
  symlink: 'symlinkat',
  character: 'mknodat',
  block: 'mknodat',
  fifo: 'mknodat',
};

/** What an archive brings about by what it contains; everything else is this machine's trouble. */
const ARCHIVE_FAULTS: ReadonlySet<string> = new Set(
  'EEXIST EINVAL EISDIR ELOOP EMLINK ENAMETOOLONG ENOENT ENOTDIR EPERM'.split(' '),
);

/** A name longer than this is cut: an archive must not choose how long an error gets. */
const SHOWN_BYTES = 1024;

function shown(path: string): string {
  const text = Buffer.from(path.slice(0, SHOWN_BYTES), 'latin1').toString();
  return path.length > SHOWN_BYTES ? `${text}…` : text;
}

/** The kernel's words for a failure; null when it is not the kernel's. */
function reasonOf(error: unknown): string | null {
  if (isKernelError(error)) return error.reason;
  if (!(error instanceof Error) || errorCode(error) === undefined) return null;
  // node's own calls: `ENOSPC: no space left on device, write`.
  return /^E[A-Z0-9]+: (.+), \w+/.exec(error.message)?.[1] ?? null;
}

function named(error: unknown, entry: TarEntry, step: 'make' | 'write'): unknown {
  const reason = reasonOf(error);
  const code = errorCode(error);
  if (reason === null || code === undefined) return error;
  const names = [
    step === 'write' ? 'write' : CALLS[entry.type],
    ...(entry.type === 'hardlink' || entry.type === 'symlink' ? [entry.linkPath] : []),
    // A directory's name ends with a slash.
    entry.path.replace(/\/+$/, ''),
  ];
  const kind = ARCHIVE_FAULTS.has(code) ? 'invalidArgument' : 'internal';
  const text = `${names.map(shown).join(' ')}: ${reason}`;
  return Object.assign(new EngineError(kind, text, { cause: error }), { code });
}

/**
 * Passes everything on; what the kernel refuses is told with the entry's name, in the reference's words
 * (`linkat nosuch h: no such file or directory`).
 */
export function namingEntries(handler: TarHandler): TarHandler {
  let current: TarEntry | null = null;
  const doing = (step: 'make' | 'write', task: () => void): void => {
    try {
      task();
    } catch (error) {
      throw current === null ? error : named(error, current, step);
    }
  };
  return {
    entry(entry) {
      current = entry;
      doing('make', () => handler.entry(entry));
    },
    data: (chunk) => doing('write', () => handler.data(chunk)),
    entryEnd: () => doing('make', () => handler.entryEnd()),
  };
}
