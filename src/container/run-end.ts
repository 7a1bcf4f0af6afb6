import type { Entry, RunEnd } from './record/ledger.ts';

/** The end of the run that is on, from the exit path itself; one listener, however many ask. */
export function ended(entry: Pick<Entry, 'end' | 'onEnd'>): Promise<RunEnd> {
  if (entry.end !== null) return entry.end;
  const { promise, resolve } = Promise.withResolvers<RunEnd>();
  const notify = (end: RunEnd): void => {
    entry.onEnd.delete(notify);
    entry.end = null;
    resolve(end);
  };
  entry.onEnd.add(notify);
  entry.end = promise;
  return promise;
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
