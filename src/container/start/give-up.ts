/**
 * Waits for work that may hang in somebody else's file system, until the signal says to give it up: rejects
 * with its reason then. `late` gets what the work brings after that, to undo it.
 */
export async function unlessGivenUp<T>(
  work: Promise<T>,
  signal: AbortSignal,
  late: (result: T) => void = () => undefined,
): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => {
    work.then(late, () => undefined);
    reject(signal.reason);
  };
  signal.addEventListener('abort', onAbort);
  if (signal.aborted) onAbort();
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
