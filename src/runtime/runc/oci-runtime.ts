import { basename } from 'node:path';

/** Names of the files that one runtime call uses, relative to the task directory it runs in. */
export interface RuntimeCall {
  /** The runtime's own state directory (`--root`). */
  readonly root: string;
  readonly id: string;
  readonly log: string;
  readonly pidFile: string;
  /** Present with a terminal. */
  readonly consoleSocket?: string;
}

export interface ExecCall extends RuntimeCall {
  /** File with the process. */
  readonly processFile: string;
}

/** An OCI runtime as this engine uses it: `run` and `exec`, detached; everything else we do ourselves. */
export interface OciRuntime {
  readonly kind: 'oci';
  readonly name: string;
  readonly path: string;
  /** crun refuses the hybrid cgroup layout unless the unified hierarchy is out of its sight. */
  readonly hidesUnifiedCgroup: boolean;
  startArgv(call: RuntimeCall): string[];
  execArgv(call: ExecCall): string[];
}

export interface RuntimeDefinition {
  readonly path: string;
  /** Further global arguments, of the daemon's configuration. */
  readonly args?: readonly string[];
}

export function createOciRuntime(name: string, definition: RuntimeDefinition): OciRuntime {
  const { path, args = [] } = definition;
  const global = (call: RuntimeCall): string[] => [
    path,
    ...args,
    '--root',
    call.root,
    '--log',
    call.log,
    '--log-format',
    'json',
  ];
  const files = (call: RuntimeCall): string[] => [
    '--pid-file',
    call.pidFile,
    ...(call.consoleSocket === undefined ? [] : ['--console-socket', call.consoleSocket]),
  ];
  return {
    kind: 'oci',
    name,
    path,
    hidesUnifiedCgroup: basename(path).startsWith('crun'),
    startArgv: (call) => [...global(call), 'run', '-d', '--bundle', '.', ...files(call), call.id],
    execArgv: (call) => [
      ...global(call),
      'exec',
      '-d',
      '--process',
      call.processFile,
      ...files(call),
      call.id,
    ],
  };
}
