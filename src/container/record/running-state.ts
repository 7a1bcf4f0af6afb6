import { renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '#base/errors.ts';
import { isFullId, type ContainerId } from '#base/ids.ts';
import { isJsonObject, parseJson } from '#base/json.ts';
import { KeyedMutex } from '#base/keyed-mutex.ts';
import type { Log } from '#base/log.ts';
import type { SandboxFacts } from '#network/model.ts';
import type { RunState } from '../record.ts';

/*
 * Running state and intent, on tmpfs under the exec root: never flushed, gone at a reboot, which is right.
 * Written before
 * each side effect of a start, so that a killed daemon knows what it was doing.
 */

export interface RunningState {
  /**
   * `starting`: side effects may exist. `running`: start was finished. `ended`: the record may not know
   * yet.
   */
  readonly phase: 'starting' | 'running' | 'ended';
  readonly bootId: string;
  readonly state: RunState;
  readonly sandbox: SandboxFacts | null;
  /** The user asked for the end (stop, kill): no restart policy acts on it. */
  readonly stopRequested: boolean;
}

export class RunningStates {
  readonly #directory: string;
  readonly #log: Log;
  readonly #writers = new KeyedMutex();

  constructor(execRoot: string, log: Log) {
    this.#directory = join(execRoot, 'containers');
    this.#log = log;
  }

  async prepare(): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
  }

  async write(id: ContainerId, state: RunningState): Promise<void> {
    await this.#writers.run(id, async () => {
      const temporary = join(this.#directory, `.${id}`);
      // On tmpfs these calls take microseconds; each trip to a thread and back would take more.
      writeFileSync(temporary, JSON.stringify(state), { mode: 0o600 });
      renameSync(temporary, join(this.#directory, id));
    });
  }

  /** `unless` is asked when its turn has come: a start that came in between keeps its intent. */
  async remove(id: ContainerId, unless: () => boolean = () => false): Promise<void> {
    await this.#writers.run(id, async () => {
      if (unless()) return;
      try {
        unlinkSync(join(this.#directory, id));
      } catch (error) {
        if (errorCode(error) !== 'ENOENT') throw error;
      }
    });
  }

  async load(): Promise<ReadonlyMap<string, RunningState>> {
    const states = new Map<string, RunningState>();
    const names = await readdir(this.#directory).catch((error: unknown) => {
      if (errorCode(error) === 'ENOENT') return [];
      throw error;
    });
    for (const name of names) {
      const path = join(this.#directory, name);
      if (!isFullId(name)) {
        await rm(path, { force: true });
        continue;
      }
      try {
        const value = parseJson(await readFile(path, 'utf8'), path);
        if (isJsonObject(value) && typeof value['phase'] === 'string')
          states.set(name, value as unknown as RunningState);
      } catch (error) {
        this.#log.warn('running state unreadable, ignored', { path, reason: String(error) });
      }
    }
    return states;
  }
}
