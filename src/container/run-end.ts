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

/** Timers that are set for longer go off at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Null when it took longer; a wait of more than 24 days ends after those. */
export async function within<T>(promise: Promise<T>, milliseconds: number): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), Math.min(milliseconds, LONGEST_TIMER_MS));
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
