import { closeSync, mkdirSync, openSync, readSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { EngineError } from '#base/errors.ts';
import { randomId } from '#base/ids.ts';
import type { Kernel } from '#host/kernel.ts';
import { createOciRuntime, type OciRuntime, type RuntimeDefinition } from './runc/oci-runtime.ts';

export { StartError } from './runc/errors.ts';
export type { OciRuntime, RuntimeDefinition } from './runc/oci-runtime.ts';

const MAX_VERSION_BYTES = 4096;

/** Name of our own launcher: it is always there, and the default. */
export const OWN_RUNTIME = 'gantry';

/** Our own way: a launch plan, executed by the shim. `path` is what others call to start by it. */
export interface OwnRuntime {
  readonly kind: 'own';
  readonly name: string;
  readonly path: string;
}

export type Runtime = OwnRuntime | OciRuntime;

const MAX_PATH_BYTES = 4095;

/** Whether a runtime is named by the path of its program instead of a configured name. */
export function isRuntimePath(name: string): boolean {
  return name.startsWith('/') && !name.includes('\0') && Buffer.byteLength(name) <= MAX_PATH_BYTES;
}

/** The folder name below which a runtime keeps its own state. */
export function stateFolder(name: string): string {
  return name.startsWith('/') ? `path${name.replaceAll('/', '-').slice(-100)}` : name;
}

export interface RuntimesOptions {
  /** OCI runtimes, by name. */
  readonly definitions: Readonly<Record<string, RuntimeDefinition>>;
  readonly defaultName: string;
  /** Our own launcher as an OCI runtime's command. */
  readonly ownPath: string;
}

/** What containers can be started by: our own launcher and the OCI runtimes of this host. */
export class Runtimes {
  readonly defaultName: string;
  readonly #runtimes: ReadonlyMap<string, Runtime>;

  constructor({ definitions, defaultName, ownPath }: RuntimesOptions) {
    const own: OwnRuntime = { kind: 'own', name: OWN_RUNTIME, path: ownPath };
    const others = Object.entries(definitions).map(([name, given]): [string, Runtime] => [
      name,
      createOciRuntime(name, given),
    ]);
    this.#runtimes = new Map<string, Runtime>([[OWN_RUNTIME, own], ...others]);
    this.defaultName = defaultName;
  }

  names(): string[] {
    return [...this.#runtimes.keys()];
  }

  has(name: string): boolean {
    return this.#runtimes.has(name);
  }

  /**
   * '' and absent: the default; an absolute path: the OCI runtime that lies there. Errors: `invalidArgument`
   * with the reference's text.
   */
  get(name?: string): Runtime {
    const wanted = name || this.defaultName;
    const runtime =
      this.#runtimes.get(wanted) ??
      (isRuntimePath(wanted) ? createOciRuntime(wanted, { path: wanted }) : undefined);
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
  runtime: Pick<OciRuntime, 'path'>,
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
