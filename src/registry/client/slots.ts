import type { Slots } from '../client.ts';

/** Turns in the order of asking; the number of them may change at any time. */
export function createSlots(limit: () => number): Slots {
  let taken = 0;
  const waiting = new Set<() => void>();
  const serve = (): void => {
    for (const start of waiting) {
      if (taken >= Math.max(1, limit())) return;
      waiting.delete(start);
      taken++;
      start();
    }
  };
  const giveBack = (): (() => void) => {
    let isGiven = false;
    return () => {
      if (isGiven) return;
      isGiven = true;
      taken--;
      serve();
    };
  };
  return {
    take: (signal) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) {
          reject(signal.reason as Error);
          return;
        }
        const leave = (): void => {
          waiting.delete(start);
          reject(signal.reason as Error);
        };
        const start = (): void => {
          signal.removeEventListener('abort', leave);
          resolve(giveBack());
        };
        signal.addEventListener('abort', leave, { once: true });
        waiting.add(start);
        serve();
      }),
  };
}
