import { nowNanos, rfc3339Nano } from '#base/clock.ts';
import { errorMessage } from '#base/errors.ts';
import type { ContainerId } from '#base/ids.ts';
import type { EndedTask, ExitRecord, RunningTask } from '#runtime/task.ts';
import type { RestoreReport } from './container-service.ts';
import type { Entry } from './record/ledger.ts';
import type { RunningState } from './record/running-state.ts';
import { parseTimeNanos } from './record/time.ts';
import { restoreExecs, sweepExecs } from './exec/restore-execs.ts';
import { finishRun } from './exit.ts';
import { removeLocked } from './remove.ts';
import { decideAtBoot, scheduleRestart } from './restart-policy.ts';
import type { Room } from './room.ts';
import { runLocked } from './start.ts';
import { countsAsRunning, hasProcess } from './state.ts';

/** The host went down under it: nobody saw the end. */
const LOST_WITH_HOST = 255;
/** The shim is gone without an exit record. */
const LOST_WITH_SHIM = 137;

interface Found {
  readonly entry: Entry;
  readonly intent: RunningState | null;
  readonly task: RunningTask | EndedTask | null;
}

/** What the three witnesses together say about one container. */
type Verdict =
  | { readonly kind: 'runs'; readonly task: RunningTask; readonly intent: RunningState | null }
  | {
      readonly kind: 'ended';
      readonly exit: ExitRecord;
      readonly startedAt: string | null;
      readonly sandbox: RunningState['sandbox'];
    }
  /**
   * The running state holds what is true: the end was handled already, or a start never came to a task. The
   * record may not know.
   */
  | { readonly kind: 'known'; readonly intent: RunningState }
  | { readonly kind: 'idle' };

/** record × intent × task → verdict. Pure. */
export function judge(found: Found, nowInNanos: bigint): Verdict {
  const { entry, intent, task } = found;
  if (task !== null && task.state !== 'exited') return { kind: 'runs', task, intent };
  if (intent?.phase === 'ended') return { kind: 'known', intent };
  if (task !== null) {
    return {
      kind: 'ended',
      exit: task.exit,
      startedAt: rfc3339Nano(task.startedAtNanos),
      sandbox: intent?.sandbox ?? null,
    };
  }
  const lost = (exitCode: number): Verdict => ({
    kind: 'ended',
    exit: { exitCode, oomKilled: false, exitedAtNanos: nowInNanos },
    startedAt: intent?.phase === 'running' ? intent.state.startedAt : null,
    sandbox: intent?.sandbox ?? null,
  });
  if (intent?.phase === 'running') return lost(LOST_WITH_SHIM);
  if (intent?.phase === 'starting') return { kind: 'known', intent };
  // A record that says running without any intent is from before a reboot.
  if (intent === null && countsAsRunning(entry.record.state.status)) return lost(LOST_WITH_HOST);
  return { kind: 'idle' };
}

/**
 * At boot, before the first request: every container is found as it is, ends are handled, leftovers
 * removed.
 */
export async function restoreContainers(room: Room): Promise<RestoreReport> {
  const { deps, ledger } = room;
  await ledger.running.prepare();
  const loaded = await ledger.store.load();
  const intents = await ledger.running.load();
  const releases: (() => void)[] = [];
  for (const record of loaded.records) {
    reserveName(room, record);
    const entry = ledger.add(record);
    deps.volumes.restore(record.id, record.mounts);
    // Held until its verdict is carried out: an exit that is reported meanwhile waits.
    releases.push(await ledger.locks.acquire(entry.record.id));
  }
  try {
    const tasks = await deps.tasks.reattach();
    const found = ledger.entries().map((entry) => ({
      entry,
      intent: currentIntent(intents.get(entry.record.id), deps.facts.bootId),
      task: tasks.get(entry.record.id) ?? null,
    }));
    const report = await carryOut(room, found);
    await sweep(room, { loaded, intents, tasks });
    return { ...report, quarantined: loaded.quarantined.map((item) => item.id) };
  } finally {
    for (const release of releases) release();
  }
}

function currentIntent(intent: RunningState | undefined, bootId: string): RunningState | null {
  return intent === undefined || intent.bootId !== bootId ? null : intent;
}

function reserveName(room: Room, record: Entry['record']): void {
  try {
    room.ledger.names.reserve(record.name, record.id);
  } catch (error) {
    room.deps.log.error('two containers have one name; the second is found by its id only', {
      id: record.id,
      reason: errorMessage(error),
    });
  }
}

async function carryOut(room: Room, found: readonly Found[]): Promise<Omit<RestoreReport, 'quarantined'>> {
  const { deps, ledger } = room;
  const now = nowNanos();
  const verdicts = found.map((item) => ({ entry: item.entry, verdict: judge(item, now) }));
  for (const { entry, verdict } of verdicts) {
    if (verdict.kind === 'runs') adopt(room, entry, verdict);
    else if (verdict.kind === 'ended') entry.sandbox = verdict.sandbox;
  }
  // Addresses and ports of what runs are taken before anything else can get them.
  const running = verdicts.filter(({ verdict }) => verdict.kind === 'runs').map(({ entry }) => entry);
  await deps.networks.restore(running.flatMap((entry) => (entry.sandbox === null ? [] : [entry.sandbox])));
  let ended = 0;
  let removed = 0;
  for (const { entry, verdict } of verdicts) {
    try {
      if (verdict.kind === 'runs') {
        await ledger.writeRunning(entry, 'running', deps.facts.bootId);
        await restoreExecs(room, entry);
      } else if (verdict.kind === 'ended') ended += 1;
      await settle(room, entry, verdict);
    } catch (error) {
      deps.log.error('a container could not be restored as it should', {
        id: entry.record.id,
        reason: errorMessage(error),
      });
    }
    if (entry.buried) removed += 1;
  }
  return { running: running.length, ended, removed };
}

function adopt(room: Room, entry: Entry, { task, intent }: Verdict & { kind: 'runs' }): void {
  entry.sandbox = intent?.sandbox ?? null;
  entry.phase = 'running';
  entry.stopRequested = intent?.stopRequested ?? false;
  room.ledger.setState(entry, {
    status: task.state,
    pid: task.pid,
    startedAt: rfc3339Nano(task.startedAtNanos),
    exitCode: 0,
    oomKilled: false,
    error: '',
  });
  entry.record = { ...entry.record, hasBeenStarted: true };
  room.ledger.commitSoon(entry);
}

async function settle(room: Room, entry: Entry, verdict: Verdict): Promise<void> {
  const { ledger, deps } = room;
  const { id, hostConfig } = entry.record;
  if (verdict.kind === 'runs') return;
  if (verdict.kind === 'ended') {
    ledger.setState(entry, {
      status: 'running',
      ...(verdict.startedAt !== null && { startedAt: verdict.startedAt }),
    });
    entry.record = { ...entry.record, hasBeenStarted: true };
    entry.stopRequested = entry.record.manuallyStopped;
    await finishRun(room, entry, verdict.exit);
    return;
  }
  if (verdict.kind === 'known') {
    const { phase, state } = verdict.intent;
    entry.phase = 'ended';
    entry.record = {
      ...entry.record,
      state,
      hasBeenStarted: entry.record.hasBeenStarted || phase === 'ended',
    };
    ledger.commitSoon(entry);
  } else await ledger.running.remove(id);
  await deps.tasks.delete(id);
  // An intent says that it was meant to run: a start that did not come to its end removes it, too. Without
  // one (created only, or a power cut before anything was flushed) nobody but its owner can say, so it stays.
  if (hostConfig.AutoRemove && (entry.record.hasBeenStarted || verdict.kind === 'known'))
    await removeLocked(room, entry, { volumes: true, flushed: false });
  else if (entry.record.state.status === 'restarting') scheduleRestart(room, entry, 0);
}

interface Leftovers {
  readonly loaded: Awaited<ReturnType<Room['ledger']['store']['load']>>;
  readonly intents: ReadonlyMap<string, RunningState>;
  readonly tasks: ReadonlyMap<string, RunningTask | EndedTask>;
}

/** Finishes removals and frees what no record names. A damaged record's files are kept for who repairs it. */
async function sweep(room: Room, { loaded, intents, tasks }: Leftovers): Promise<void> {
  const { deps, ledger } = room;
  const kept = new Set(loaded.quarantined.map((item) => item.id));
  const attempt = async (id: string, step: () => Promise<void>): Promise<void> => {
    await step().catch((error: unknown) =>
      deps.log.warn('a leftover could not be removed', { id, reason: errorMessage(error) }),
    );
  };
  for (const id of tasks.keys())
    if (ledger.byId(id) === undefined) await attempt(id, () => deps.tasks.delete(id));
  for (const id of intents.keys())
    if (ledger.byId(id) === undefined) await attempt(id, () => ledger.running.remove(id as ContainerId));
  for (const id of deps.snapshots.writables()) {
    if (ledger.byId(id) === undefined && !kept.has(id))
      await attempt(id, () => deps.snapshots.removeWritable(id));
  }
  await attempt('execs', () => sweepExecs(room));
  for (const { id, mounts } of loaded.unreleased)
    await attempt(id, () => deps.volumes.release(id, { mounts, removeAnonymous: true }));
  for (const id of loaded.tombstones) await attempt(id, () => ledger.store.erase(id));
}

/** After boot, in the background: what its policy wants to run. Oldest first. */
export async function startByPolicy(room: Room): Promise<void> {
  const { deps, ledger } = room;
  const age = (entry: Entry): bigint => parseTimeNanos(entry.record.created) ?? 0n;
  const wanted = ledger
    .entries()
    .filter(
      (entry) =>
        !hasProcess(entry.record.state.status) &&
        entry.record.state.status !== 'restarting' &&
        decideAtBoot(entry),
    )
    .sort((a, b) => (age(a) < age(b) ? -1 : 1));
  for (const entry of wanted) {
    const { id } = entry.record;
    await ledger.locks
      .run(id, async () => {
        if (entry.buried || countsAsRunning(entry.record.state.status)) return;
        await runLocked(room, entry);
      })
      .catch((error: unknown) =>
        deps.log.warn('a container could not be started by its policy', { id, reason: errorMessage(error) }),
      );
  }
}
