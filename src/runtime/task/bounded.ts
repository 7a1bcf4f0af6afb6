import { EngineError } from '#base/errors.ts';

export interface Bounds {
  readonly limitMs: number;
  /** Text of the error when the limit is reached. */
  readonly late: string;
  readonly cancel?: AbortSignal | undefined;
}

/**
 * Waits for something that may never come. Whoever stops waiting has to end the work itself; how that ends is
 * of no interest then.
 */
export async function bounded<T>(work: Promise<T>, bounds: Bounds): Promise<T> {
  const { limitMs, late, cancel } = bounds;
  work.catch(() => undefined);
  const stop = Promise.withResolvers<never>();
  const timer = setTimeout(() => stop.reject(new EngineError('internal', late)), limitMs);
  const cancelled = (): void => stop.reject(cancel?.reason);
  cancel?.addEventListener('abort', cancelled);
  if (cancel?.aborted === true) cancelled();
  try {
    return await Promise.race([work, stop.promise]);
  } finally {
    clearTimeout(timer);
    cancel?.removeEventListener('abort', cancelled);
  }
}
