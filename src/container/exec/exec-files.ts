import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '#base/errors.ts';
import type { ContainerId, ExecId } from '#base/ids.ts';
import { isJsonObject, parseJson } from '#base/json.ts';
import type { Log } from '#base/log.ts';
import type { Exec } from './exec-model.ts';

/** What another daemon needs to answer for an exec: how it was asked for. How it ended the shim knows. */
export interface StoredExec extends Pick<Exec, 'id' | 'containerId' | 'config' | 'user'> {
  /** Only of an exec that could not be started; ends are in the task's own file. */
  readonly failedWith: number | null;
}

const ID = /^[0-9a-f]{64}$/;

/**
 * Execs on tmpfs under the exec root, one file each, in a directory for each container: never flushed, and
 * gone when the container's run ends.
 */
export class ExecFiles {
  readonly #directory: string;
  readonly #log: Log;

  constructor(execRoot: string, log: Log) {
    this.#directory = join(execRoot, 'execs');
    this.#log = log;
  }

  async save(exec: StoredExec): Promise<void> {
    const directory = join(this.#directory, exec.containerId);
    const { id, containerId, config, user, failedWith } = exec;
    const temporary = join(directory, `.${id}`);
    const text = JSON.stringify({ id, containerId, config, user, failedWith });
    // On tmpfs these calls take microseconds; each trip to a thread and back would take more.
    try {
      writeFileSync(temporary, text, { mode: 0o600 });
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      writeFileSync(temporary, text, { mode: 0o600 });
    }
    renameSync(temporary, join(directory, id));
  }

  async remove(exec: { readonly id: ExecId; readonly containerId: ContainerId }): Promise<void> {
    await rm(join(this.#directory, exec.containerId, exec.id), { force: true });
  }

  async removeAll(containerId: string): Promise<void> {
    await rm(join(this.#directory, containerId), { recursive: true, force: true });
  }

  /** Containers that have some. */
  async containers(): Promise<string[]> {
    return await entriesOf(this.#directory);
  }

  async load(containerId: ContainerId): Promise<StoredExec[]> {
    const directory = join(this.#directory, containerId);
    const found: StoredExec[] = [];
    for (const name of (await entriesOf(directory)).filter((entry) => ID.test(entry))) {
      const path = join(directory, name);
      try {
        const value = parseJson(await readFile(path, 'utf8'), path);
        if (isJsonObject(value) && value['id'] === name && value['containerId'] === containerId)
          found.push(value as unknown as StoredExec);
      } catch (error) {
        this.#log.warn('an exec is unreadable, ignored', { path, reason: String(error) });
      }
    }
    return found;
  }
}

async function entriesOf(directory: string): Promise<string[]> {
  return await readdir(directory).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  });
}
