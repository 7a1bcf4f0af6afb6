import { errorMessage } from '#base/errors.ts';
import type { Entry } from './record/ledger.ts';
import type { Room } from './room.ts';
import { runLocked } from './start.ts';

const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 60_000;
/** Who ran this long starts with the first delay again. */
const STEADY_SECONDS = 10;

/** Whether the policy wants another run after this end. */
export function decideRestart(
  entry: Pick<Entry, 'record' | 'stopRequested' | 'removing'>,
  exitCode: number,
): boolean {
  const { hostConfig, restartCount } = entry.record;
  const { Name, MaximumRetryCount } = hostConfig.RestartPolicy;
  if (entry.stopRequested || entry.removing) return false;
  if (Name === 'on-failure')
    return exitCode !== 0 && (MaximumRetryCount === 0 || restartCount < MaximumRetryCount);
  return Name === 'always' || Name === 'unless-stopped';
}

/** Whether the policy starts a container at boot that does not run. */
export function decideAtBoot(entry: Pick<Entry, 'record'>): boolean {
  const { hostConfig, hasBeenStarted, manuallyStopped, state } = entry.record;
  if (!hasBeenStarted || state.status === 'created') return false;
  switch (hostConfig.RestartPolicy.Name) {
    case 'always':
      return true;
    case 'unless-stopped':
      return !manuallyStopped;
    case 'on-failure':
      return !manuallyStopped && state.exitCode !== 0;
    case 'no':
      return false;
  }
}

/** Starts again after a delay that doubles with every short run. */
export function scheduleRestart(room: Room, entry: Entry, ranSeconds: number): void {
  const { ledger, deps } = room;
  const { id } = entry.record;
  const isSteady = ranSeconds >= STEADY_SECONDS || entry.restartDelayMs === 0;
  entry.restartDelayMs = isSteady ? FIRST_DELAY_MS : Math.min(entry.restartDelayMs * 2, LONGEST_DELAY_MS);
  entry.restartTimer = setTimeout(() => {
    void ledger.locks
      .run(id, async () => {
        // Stopped, removed or started by somebody in between.
        if (entry.restartTimer === null || entry.removing || entry.buried) return;
        entry.record = { ...entry.record, restartCount: entry.record.restartCount + 1 };
        await runLocked(room, entry);
      })
      .catch((error: unknown) => deps.log.warn('restart failed', { id, reason: errorMessage(error) }));
  }, entry.restartDelayMs);
}
