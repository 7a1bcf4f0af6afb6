import { rfc3339Nano } from '#base/clock.ts';
import { errorMessage } from '#base/errors.ts';
import type { ContainerId } from '#base/ids.ts';
import type { ExitRecord } from '#runtime/task.ts';
import type { RunState } from './record.ts';
import type { Entry } from './record/ledger.ts';
import { parseTimeNanos } from './record/time.ts';
import { removeLocked } from './remove.ts';
import { decideRestart, scheduleRestart } from './restart-policy.ts';
import { tell, type Room } from './room.ts';
import { hasProcess, transition } from './state.ts';

/**
 * What the runtime calls when a task ended: waits for its turn, so that a start which is still on is
 * finished first.
 */
export function handleExit(room: Room, id: string, exit: ExitRecord): void {
  const { ledger, deps } = room;
  void ledger.locks
    .run(id, async () => {
      const entry = ledger.byId(id);
      if (entry === undefined || !hasProcess(entry.record.state.status)) return;
      await finishRun(room, entry, exit);
    })
    .catch((error: unknown) =>
      deps.log.error('the exit of a container could not be handled', { id, reason: errorMessage(error) }),
    );
}

/**
 * What the next one may want at once: the shim holds published ports until it is gone, and volumes go with
 * their container. Everything else is unique, so that nobody waits until it is gone.
 */
function holdsWanted({ sandbox, record }: Entry): boolean {
  return (sandbox?.ports ?? []).length > 0 || record.mounts.some(({ type }) => type === 'volume');
}

/**
 * The end of a run, under the container's lock: state, network, events, restart policy, auto-remove, in
 * this order. Who waits is told as soon as the next run of anything can count on it.
 */
export async function finishRun(room: Room, entry: Entry, exit: ExitRecord): Promise<void> {
  const { deps, ledger } = room;
  const { id } = entry.record;
  const finishedAt = rfc3339Nano(exit.exitedAtNanos);
  if (exit.oomKilled && !entry.hasOomNotice) tell(room, entry, { action: 'oom' });
  const isEarly = !holdsWanted(entry);
  await deps.networks.sandbox
    .release(id)
    .catch((error: unknown) => deps.log.error('network not released', { id, reason: errorMessage(error) }));
  entry.sandbox = null;
  deps.volumes.unmounted(id, entry.record.mounts);
  ledger.setState(entry, endedState(entry, exit, finishedAt));
  const restart = decideRestart(entry, exit.exitCode);
  if (restart) ledger.setState(entry, { status: transition(entry.record, 'restart-later') });
  const isKept = entry.keepAfterExit || restart || !entry.record.hostConfig.AutoRemove;
  const goes = !isKept && !entry.removing;
  if (!goes) await noteEnd(room, entry);
  if (!isEarly) await deleteTask(room, id);
  await endExecs(room, id);
  tell(room, entry, {
    action: 'die',
    attributes: { execDuration: String(runSeconds(entry, exit)), exitCode: String(exit.exitCode) },
  });
  if (restart) scheduleRestart(room, entry, runSeconds(entry, exit));
  if (!goes) ledger.commitSoon(entry);
  const tellEnd = (): void => {
    for (const notify of [...entry.onEnd]) notify({ exitCode: exit.exitCode, error: '' });
  };
  if (goes) await removeAfterExit(room, entry, { isEarly, tellEnd });
  tellEnd();
  if (isEarly && !entry.buried) await deleteTask(room, id);
}

/** Without it a crash before the next commit would find the run lost; nobody is left to wait for that. */
async function noteEnd({ ledger, deps }: Room, entry: Entry): Promise<void> {
  const { id } = entry.record;
  await ledger
    .writeRunning(entry, 'ended', deps.facts.bootId)
    .catch((error: unknown) =>
      deps.log.error('the end of a run could not be noted', { id, reason: errorMessage(error) }),
    );
}

async function deleteTask({ deps }: Room, id: ContainerId): Promise<void> {
  await deps.tasks
    .delete(id)
    .catch((error: unknown) =>
      deps.log.warn('task directory not removed', { id, reason: errorMessage(error) }),
    );
}

async function removeAfterExit(
  room: Room,
  entry: Entry,
  { isEarly, tellEnd }: { readonly isEarly: boolean; readonly tellEnd: () => void },
): Promise<void> {
  const { id } = entry.record;
  // Who removes it now is told that somebody does, as in the reference.
  entry.removing = true;
  const wish = { volumes: true, flushed: false, ...(isEarly && { onGone: tellEnd }) };
  await removeLocked(room, entry, wish).catch(async (error: unknown) => {
    room.deps.log.error('a container could not be removed after its exit', {
      id,
      reason: errorMessage(error),
    });
    await noteEnd(room, entry);
    room.ledger.commitSoon(entry);
    for (const notify of [...entry.onRemoved]) notify(errorMessage(error));
  });
  entry.removing = false;
}

function endedState(entry: Entry, exit: ExitRecord, finishedAt: string): Partial<RunState> {
  return {
    status: transition(entry.record, 'exit'),
    pid: 0,
    exitCode: exit.exitCode,
    oomKilled: exit.oomKilled,
    error: '',
    finishedAt,
  };
}

function runSeconds(entry: Entry, exit: ExitRecord): number {
  const started = parseTimeNanos(entry.record.state.startedAt) ?? exit.exitedAtNanos;
  return Number((exit.exitedAtNanos - started) / 1_000_000_000n);
}

/** With the container's first process all others end. */
async function endExecs(room: Pick<Room, 'execs'>, id: ContainerId): Promise<void> {
  const execs = room.execs.ofContainer(id);
  if (execs.length === 0) return;
  for (const exec of execs) if (exec.running) room.execs.end(exec, 137);
  await room.execs.files.removeAll(id);
}

export function handleOom(room: Room, id: string): void {
  const entry = room.ledger.byId(id);
  if (entry === undefined) return;
  entry.hasOomNotice = true;
  tell(room, entry, { action: 'oom' });
}

export function handleExecExit(
  room: Room,
  id: string,
  end: { readonly execId: string; readonly exitCode: number },
): void {
  const exec = room.execs.find(end.execId);
  if (exec === undefined) return;
  room.execs.end(exec, end.exitCode);
  const entry = room.ledger.byId(id);
  if (entry !== undefined)
    tell(room, entry, {
      action: 'exec_die',
      attributes: { execID: exec.id, exitCode: String(end.exitCode) },
    });
}
