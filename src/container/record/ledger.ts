import { assert } from '#base/assert.ts';
import { errorMessage, isEngineError } from '#base/errors.ts';
import type { ContainerId } from '#base/ids.ts';
import { KeyedMutex } from '#base/keyed-mutex.ts';
import type { Log } from '#base/log.ts';
import type { SandboxFacts } from '#network/model.ts';
import type { ContainerRecord, RunState } from '../record.ts';
import { NameIndex } from './names.ts';
import type { BuryOptions, RecordStore } from './store.ts';
import type { RunningState, RunningStates } from './running-state.ts';

/** How long an exit or start time may wait for its flush. */
const GROUP_COMMIT_MS = 500;

/** How a run ended, as waiters hear it. */
export interface RunEnd {
  readonly exitCode: number;
  readonly error: string;
}

/** One container in memory: its record, and what only exists while this daemon lives. */
export interface Entry {
  record: ContainerRecord;
  sandbox: SandboxFacts | null;
  /** The running-state file's phase; `none` when there is none. */
  phase: RunningState['phase'] | 'none';
  removing: boolean;
  buried: boolean;
  stopRequested: boolean;
  /** Called when the current run ends, or its start failed. */
  readonly onEnd: Set<(end: RunEnd) => void>;
  /** The end of the current run, once somebody asked for it. */
  end: Promise<RunEnd> | null;
  readonly onRemoved: Set<(error: string) => void>;
  /** A restart in waiting. */
  restartTimer: NodeJS.Timeout | null;
  restartDelayMs: number;
  hasOomNotice: boolean;
  /** A restart is on: auto-remove waits. */
  keepAfterExit: boolean;
  /** While a start is on: gives it up. */
  starting: AbortController | null;
}

function newEntry(record: ContainerRecord): Entry {
  return {
    record,
    sandbox: null,
    phase: 'none',
    removing: false,
    buried: false,
    stopRequested: false,
    onEnd: new Set(),
    end: null,
    onRemoved: new Set(),
    restartTimer: null,
    restartDelayMs: 0,
    hasOomNotice: false,
    keepAfterExit: false,
    starting: null,
  };
}

/** Every container this daemon knows, found by name or id, with what is written about it. */
export class Ledger {
  readonly names = new NameIndex();
  /** One lock per container: a verb takes it in its first line. */
  readonly locks = new KeyedMutex();
  readonly store: RecordStore;
  readonly running: RunningStates;
  readonly #entries = new Map<ContainerId, Entry>();
  readonly #writers = new KeyedMutex();
  readonly #dirty = new Set<ContainerId>();
  readonly #log: Log;
  #timer: NodeJS.Timeout | null = null;

  constructor(parts: { store: RecordStore; running: RunningStates; log: Log }) {
    this.store = parts.store;
    this.running = parts.running;
    this.#log = parts.log;
  }

  /** The record is durable already, its name reserved. */
  add(record: ContainerRecord): Entry {
    const entry = newEntry(record);
    this.#entries.set(record.id, entry);
    this.names.addId(record.id);
    return entry;
  }

  remove(entry: Entry): void {
    this.#entries.delete(entry.record.id);
    this.names.removeId(entry.record.id);
    this.names.release(entry.record.name, entry.record.id);
    this.#dirty.delete(entry.record.id);
  }

  entries(): readonly Entry[] {
    return [...this.#entries.values()];
  }

  byId(id: string): Entry | undefined {
    return this.#entries.get(id as ContainerId);
  }

  /** Errors: `notFound`, `invalidArgument`. */
  find(reference: string): Entry {
    const entry = this.#entries.get(this.names.find(reference));
    assert(entry !== undefined, 'the index names only known containers');
    return entry;
  }

  /**
   * Runs `task` under the container's lock. A container that went while we waited is looked up again: its
   * name may be another's by now.
   */
  async locked<T>(reference: string, task: (entry: Entry) => Promise<T>): Promise<T> {
    for (;;) {
      const found = this.find(reference);
      const { id } = found.record;
      const release = await this.locks.acquire(id);
      try {
        if (this.#entries.get(id) === found) return await task(found);
      } finally {
        release();
      }
    }
  }

  setState(entry: Entry, change: Partial<RunState>): void {
    entry.record = { ...entry.record, state: { ...entry.record.state, ...change } };
  }

  /** Writes the running state; the record follows by group commit. */
  async writeRunning(entry: Entry, phase: RunningState['phase'], bootId: string): Promise<void> {
    entry.phase = phase;
    const { id, state } = entry.record;
    await this.running.write(id, {
      phase,
      bootId,
      state,
      sandbox: entry.sandbox,
      stopRequested: entry.stopRequested,
    });
  }

  /** The record reaches the disk within a second. */
  commitSoon(entry: Entry): void {
    this.#dirty.add(entry.record.id);
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      void this.flush();
    }, GROUP_COMMIT_MS);
  }

  /** Writes everything that waits for group commit. */
  async flush(): Promise<void> {
    const ids = [...this.#dirty];
    this.#dirty.clear();
    for (const id of ids) {
      const entry = this.#entries.get(id);
      if (entry === undefined) continue;
      try {
        await this.commit(entry);
      } catch (error) {
        if (isEngineError(error, 'notFound')) continue;
        this.#log.error('a container record could not be written; it is tried again', {
          id,
          reason: errorMessage(error),
        });
        this.commitSoon(entry);
      }
    }
  }

  /** Makes the record in memory durable: two flushes. */
  async commit(entry: Entry): Promise<void> {
    const { id } = entry.record;
    const written = await this.#writers.run(id, async () => {
      if (entry.buried) return null;
      const { record } = entry;
      const wasDirty = this.#dirty.delete(id);
      try {
        await this.store.replace(record);
      } catch (error) {
        if (wasDirty) this.commitSoon(entry);
        throw error;
      }
      return record.state;
    });
    // Only the running state knows of an end that came while an older state was being written.
    if (entry.phase === 'ended' && (written === null || written === entry.record.state))
      await this.forgetRunning(entry);
  }

  async forgetRunning(entry: Entry): Promise<void> {
    await this.running.remove(entry.record.id, () => entry.phase === 'starting' || entry.phase === 'running');
    if (entry.phase === 'ended') entry.phase = 'none';
  }

  /** The tombstone: from here on no client sees the container again. */
  async bury(entry: Entry, options: BuryOptions): Promise<void> {
    await this.#writers.run(entry.record.id, async () => {
      if (entry.buried) return;
      await this.store.bury(entry.record.id, options);
      entry.buried = true;
    });
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    for (const entry of this.#entries.values())
      if (entry.restartTimer !== null) clearTimeout(entry.restartTimer);
  }
}
