import * as messages from '#api/messages.ts';
import { EngineError } from '#base/errors.ts';
import type { WaitReply } from './container-service.ts';
import type { Entry, RunEnd } from './record/ledger.ts';
import type { Room } from './room.ts';
import { countsAsRunning } from './state.ts';

const CONDITIONS: readonly string[] = ['', 'not-running', 'next-exit', 'removed'];

/**
 * Set up synchronously: what happens after this call is not missed. Errors: `invalidArgument`, `notFound`.
 */
export function waitForContainer(
  room: Pick<Room, 'ledger'>,
  reference: string,
  wish: { condition: string; signal: AbortSignal },
): { readonly reply: Promise<WaitReply> } {
  const { condition, signal } = wish;
  if (!CONDITIONS.includes(condition))
    throw new EngineError('invalidArgument', messages.invalidCondition(condition));
  const entry = room.ledger.find(reference);
  if (condition === 'removed') return { reply: removed(entry, signal) };
  if (condition !== 'next-exit' && !countsAsRunning(entry.record.state.status)) {
    return { reply: Promise.resolve({ StatusCode: entry.record.state.exitCode }) };
  }
  return { reply: nextEnd(entry, signal) };
}

function nextEnd(entry: Entry, signal: AbortSignal): Promise<WaitReply> {
  return new Promise((resolve, reject) => {
    const done = (): void => {
      entry.onEnd.delete(onEnd);
      entry.onRemoved.delete(onRemoved);
      signal.removeEventListener('abort', onAbort);
    };
    const onEnd = ({ exitCode }: RunEnd): void => {
      // Between two runs of a policy the container still counts as running for who waits.
      done();
      resolve({ StatusCode: exitCode });
    };
    const onRemoved = (): void => {
      done();
      resolve({ StatusCode: entry.record.state.exitCode });
    };
    const onAbort = (): void => {
      done();
      reject(new EngineError('unavailable', 'the client went away'));
    };
    entry.onEnd.add(onEnd);
    entry.onRemoved.add(onRemoved);
    signal.addEventListener('abort', onAbort);
    if (signal.aborted) onAbort();
  });
}

function removed(entry: Entry, signal: AbortSignal): Promise<WaitReply> {
  return new Promise((resolve, reject) => {
    const done = (): void => {
      entry.onRemoved.delete(onRemoved);
      signal.removeEventListener('abort', onAbort);
    };
    const onRemoved = (error: string): void => {
      done();
      const { exitCode } = entry.record.state;
      resolve(error === '' ? { StatusCode: exitCode } : { StatusCode: exitCode, Error: { Message: error } });
    };
    const onAbort = (): void => {
      done();
      reject(new EngineError('unavailable', 'the client went away'));
    };
    entry.onRemoved.add(onRemoved);
    signal.addEventListener('abort', onAbort);
    if (signal.aborted) onAbort();
  });
}
