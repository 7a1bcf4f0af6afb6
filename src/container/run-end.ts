import type { Entry, RunEnd } from './record/ledger.ts';

/** The end of the run that is on, from the exit path itself. */
export function ended(entry: Entry): Promise<RunEnd> {
  return new Promise((resolve) => {
    const notify = (end: RunEnd): void => {
      entry.onEnd.delete(notify);
      resolve(end);
    };
    entry.onEnd.add(notify);
  });
}

/** Null when it took longer. */
export async function within<T>(promise: Promise<T>, milliseconds: number): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), milliseconds);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
