import type { ContainerId, ExecId } from '#base/ids.ts';
import type { ResolvedUser } from '#runtime/user.ts';

export interface ExecConfig {
  readonly tty: boolean;
  readonly attach: { readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean };
  readonly detachKeys: string;
  readonly command: readonly string[];
  readonly env: readonly string[];
  readonly user: string;
  readonly workingDir: string;
  readonly privileged: boolean;
  readonly consoleSize: { readonly width: number; readonly height: number } | null;
}

/** One exec, from create to a while after its end. */
export interface Exec {
  readonly id: ExecId;
  readonly containerId: ContainerId;
  readonly config: ExecConfig;
  /** Null: the container's own, looked up when the exec starts. */
  readonly user: ResolvedUser | null;
  started: boolean;
  running: boolean;
  pid: number;
  exitCode: number | null;
  endedAtMs: number;
  /** Resolves when it ended, or could not start. */
  readonly ended: Promise<void>;
  readonly resolveEnded: () => void;
}
