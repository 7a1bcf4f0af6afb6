import { setTimeout as pause } from 'node:timers/promises';
import { LIMITS } from '#base/limits.ts';
import { RegistryError } from '../errors.ts';

/* When a request is repeated, and after how long. */

const SPREAD = 0.2;

/** `Retry-After` in seconds or as a date (RFC 9110, section 10.2.3), at most what is waited for at all. */
export function retryAfterMs(header: string | undefined, nowMs: number = Date.now()): number | null {
  if (header === undefined) return null;
  const seconds = /^\s*(\d{1,10})\s*$/.exec(header)?.[1];
  const waitMs = seconds === undefined ? Date.parse(header) - nowMs : Number(seconds) * 1000;
  return Number.isNaN(waitMs) ? null : Math.min(Math.max(0, waitMs), LIMITS.retryAfterMs);
}

export interface RetryRules {
  readonly backoffMs: number;
  readonly random: () => number;
}

/** The pause before attempt `attempt` (the second one is 1) after this failure; null: it is of no use. */
export function retryDelay(error: unknown, attempt: number, rules: RetryRules): number | null {
  if (!(error instanceof RegistryError) || error.permanent) return null;
  const { status } = error;
  const isAsked = status === 429 || status === 503;
  if (isAsked && error.retryAfterMs !== null) return error.retryAfterMs;
  // A limit that says nothing about its end is one of hours.
  if (status === 429 && error.codes.includes('TOOMANYREQUESTS')) return null;
  if (status !== 0 && status !== 408 && status !== 429 && (status < 500 || status === 501)) return null;
  const doubled = Math.min(rules.backoffMs * 2 ** (attempt - 1), LIMITS.registryBackoffMs);
  return doubled * (1 + SPREAD * (2 * rules.random() - 1));
}

export interface Attempts extends RetryRules {
  readonly tries: number;
  readonly signal: AbortSignal;
  readonly onRetry?: (error: unknown, delayMs: number) => void;
}

/** Repeats `attempt` while its failures are ones that pass. */
export async function withRetries<T>(rules: Attempts, attempt: () => Promise<T>): Promise<T> {
  for (let tried = 1; ; tried++) {
    try {
      return await attempt();
    } catch (error) {
      rules.signal.throwIfAborted();
      const delayMs = tried >= rules.tries ? null : retryDelay(error, tried, rules);
      if (delayMs === null) throw error;
      rules.onRetry?.(error, delayMs);
      await pause(delayMs, undefined, { signal: rules.signal });
    }
  }
}
