import { EngineError, errorMessage, isEngineError } from '#base/errors.ts';
import * as messages from '#api/messages.ts';
import type { StopRequest } from './container-service.ts';
import { parseSignal, SIGKILL, SIGTERM } from '#base/signals.ts';
import type { Entry, RunEnd } from './record/ledger.ts';
import { tell, type Room } from './room.ts';
import { ended, within } from './run-end.ts';
import { hasProcess, transition } from './state.ts';

const DEFAULT_TIMEOUT_SECONDS = 10;
/** After a kill the end comes at once, unless the process is stuck in the kernel. */
const KILL_WAIT_MS = 10_000;

/** Errors: `notModified` when it does not run. */
export async function stopContainer(room: Room, reference: string, request: StopRequest): Promise<void> {
  const stop = await room.ledger.locked(reference, async (entry) => {
    transition(entry.record, 'stop');
    const signal = stopSignal(entry, request);
    return { entry, end: await beginStop(room, entry, signal) };
  });
  await awaitEnd(room, stop.entry, { end: stop.end, timeoutSeconds: request.timeoutSeconds });
  tell(room, stop.entry, { action: 'stop' });
}

/** Errors: `invalidArgument`. */
export function stopSignal(entry: Entry, request: StopRequest): number {
  const text = request.signal || entry.record.config.StopSignal || String(SIGTERM);
  const signal = parseSignal(text);
  if (signal === null) throw new EngineError('invalidArgument', messages.invalidSignal(text));
  return signal;
}

/**
 * Under the lock: says that the user wants the end, and sends the signal. The promise is wrapped: nobody
 * waits under the lock.
 */
export async function beginStop(
  room: Room,
  entry: Entry,
  signal: number,
): Promise<{ readonly promise: Promise<RunEnd> } | null> {
  const { ledger } = room;
  const isFirst = !entry.record.manuallyStopped;
  entry.stopRequested = true;
  entry.record = { ...entry.record, manuallyStopped: true };
  if (!hasProcess(entry.record.state.status)) {
    // Between two runs of a restart policy.
    if (entry.restartTimer !== null) clearTimeout(entry.restartTimer);
    entry.restartTimer = null;
    ledger.setState(entry, { status: transition(entry.record, 'stop') });
    await writeWish(room, entry);
    return null;
  }
  const promise = ended(entry);
  try {
    await deliver(room, entry, signal);
  } finally {
    if (isFirst && entry.record.hostConfig.RestartPolicy.Name !== 'no') await writeWish(room, entry);
  }
  return { promise };
}

/** That the user wanted the end. A full disk keeps nobody from stopping: the record follows later. */
async function writeWish(room: Pick<Room, 'deps' | 'ledger'>, entry: Entry): Promise<void> {
  try {
    await room.ledger.commit(entry);
  } catch (error) {
    room.deps.log.error('a stop could not be recorded; it is tried again', {
      id: entry.record.id,
      reason: errorMessage(error),
    });
    room.ledger.commitSoon(entry);
  }
}

/** A signal under the lock; a paused container is woken so that it can act on it. */
async function deliver(room: Room, entry: Entry, signal: number): Promise<void> {
  const { id, state } = entry.record;
  try {
    await room.deps.tasks.signal(id, signal);
  } catch (error) {
    // It ended on its own: the exit is on its way.
    if (!isEngineError(error, 'notFound') && !isEngineError(error, 'conflict')) throw error;
  }
  tell(room, entry, { action: 'kill', attributes: { signal: String(signal) } });
  if (state.status === 'paused') await wake(room, entry);
}

export async function wake(room: Room, entry: Entry): Promise<void> {
  await room.deps.tasks.resume(entry.record.id);
  if (entry.record.state.status === 'paused')
    room.ledger.setState(entry, { status: transition(entry.record, 'unpause') });
}

/** Waits without any lock; kills what does not end in time. */
export async function awaitEnd(
  room: Room,
  entry: Entry,
  wish: {
    readonly end: { readonly promise: Promise<RunEnd> } | null;
    readonly timeoutSeconds: number | undefined;
  },
): Promise<void> {
  if (wish.end === null) return;
  const seconds = wish.timeoutSeconds ?? entry.record.config.StopTimeout ?? DEFAULT_TIMEOUT_SECONDS;
  const { promise } = wish.end;
  if (seconds < 0) {
    await promise;
    return;
  }
  if ((await within(promise, seconds * 1000)) !== null) return;
  room.deps.log.info('container did not end in time, killing it', { id: entry.record.id, seconds });
  await room.ledger.locks.run(entry.record.id, async () => {
    if (hasProcess(entry.record.state.status)) await deliver(room, entry, SIGKILL);
  });
  if ((await within(promise, KILL_WAIT_MS)) === null) {
    throw new EngineError(
      'internal',
      `cannot stop container: ${entry.record.id}: tried to kill container, but did not receive an exit event`,
    );
  }
}

/**
 * Sends a signal; KILL waits for the end. Errors: `conflict` when it does not run, `invalidArgument`,
 * `notFound`.
 */
export async function killContainer(room: Room, reference: string, signalText: string): Promise<void> {
  const refused = (error: unknown): unknown =>
    isEngineError(error)
      ? new EngineError(error.kind, messages.cannotKill(reference, error.message), { cause: error })
      : error;
  const parsed = signalText === '' ? SIGKILL : parseSignal(signalText);
  try {
    if (parsed === null) throw new EngineError('invalidArgument', messages.invalidSignal(signalText));
    // 0 asks for the regular kill, as in the reference.
    const signal = parsed === 0 ? SIGKILL : parsed;
    const kill = await room.ledger.locked(reference, async (entry) => {
      transition(entry.record, 'kill');
      const own = entry.record.config.StopSignal;
      const endsIt = signal === SIGKILL || own === undefined || parseSignal(own) === signal;
      if (!endsIt) {
        await room.deps.tasks.signal(entry.record.id, signal);
        tell(room, entry, { action: 'kill', attributes: { signal: String(signal) } });
        return null;
      }
      return { end: await beginStop(room, entry, signal) };
    });
    if (signal === SIGKILL && kill?.end !== undefined && kill.end !== null) {
      if ((await within(kill.end.promise, KILL_WAIT_MS)) === null)
        room.deps.log.warn('killed container has not ended yet', { reference });
    }
  } catch (error) {
    throw refused(error);
  }
}
