import { closeSync, mkdirSync, openSync, readSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { EngineError } from '#base/errors.ts';
import { randomId } from '#base/ids.ts';
import type { Kernel } from '#host/kernel.ts';
import { createOciRuntime, type OciRuntime, type RuntimeDefinition } from './runc/oci-runtime.ts';

export { StartError } from './runc/errors.ts';
export type { OciRuntime, RuntimeDefinition } from './runc/oci-runtime.ts';

const MAX_VERSION_BYTES = 4096;

/** The OCI runtimes of the daemon's configuration, by name. */
export class Runtimes {
  readonly defaultName: string;
  readonly #runtimes: ReadonlyMap<string, OciRuntime>;

  constructor(definitions: Readonly<Record<string, RuntimeDefinition>>, defaultName: string) {
    this.#runtimes = new Map(
      Object.entries(definitions).map(([name, given]) => [name, createOciRuntime(name, given)]),
    );
    this.defaultName = defaultName;
  }

  names(): string[] {
    return [...this.#runtimes.keys()];
  }

  has(name: string): boolean {
    return this.#runtimes.has(name);
  }

  /** '' and absent: the default. Errors: `invalidArgument` with the reference's text. */
  get(name?: string): OciRuntime {
    const wanted = name || this.defaultName;
    const runtime = this.#runtimes.get(wanted);
    if (runtime === undefined)
      throw new EngineError('invalidArgument', `unknown or invalid runtime name: ${wanted}`);
    return runtime;
  }
}

export interface RuntimeVersion {
  /** `1.1.5+ds1`, or '' when it cannot be told. */
  readonly version: string;
  /** Commit the runtime was built from, as it prints it, or ''. */
  readonly commit: string;
}

/** Asks the runtime's program. Never fails: a runtime that is not there has no version. */
export async function probeVersion(
  kernel: Pick<Kernel, 'processes'>,
  runtime: OciRuntime,
  execRoot: string,
): Promise<RuntimeVersion> {
  mkdirSync(execRoot, { recursive: true, mode: 0o711 });
  const path = join(execRoot, `version-${randomId().slice(0, 12)}`);
  const fd = openSync(path, 'wx+', 0o600);
  unlinkSync(path);
  try {
    const argv = [runtime.path, '--version'];
    const spawned = await kernel.processes.spawn({
      path: runtime.path,
      argv,
      env: {},
      fds: new Map([[1, fd]]),
    });
    await spawned.exited;
    const buffer = Buffer.alloc(MAX_VERSION_BYTES);
    const text = buffer.toString('utf8', 0, readSync(fd, buffer, 0, buffer.length, 0));
    return parseVersion(text);
  } catch {
    return { version: '', commit: '' };
  } finally {
    closeSync(fd);
  }
}

/** Output of `runc --version` or `crun --version`. */
export function parseVersion(text: string): RuntimeVersion {
  return {
    version: /^\S+ version (\S+)/m.exec(text)?.[1] ?? '',
    commit: /^commit: (\S+)/m.exec(text)?.[1] ?? '',
  };
}
