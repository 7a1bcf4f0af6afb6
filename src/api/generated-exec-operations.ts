/* Written by tools/gen-api.ts from the description of Engine API 1.51; not edited by hand. */
import type { ProcessConfig } from './generated-exec.ts';

export interface ContainerExecBody {
  readonly AttachStdin?: boolean;
  readonly AttachStdout?: boolean;
  readonly AttachStderr?: boolean;
  readonly ConsoleSize?: readonly number[] | null;
  readonly DetachKeys?: string;
  readonly Tty?: boolean;
  readonly Env?: readonly string[] | null;
  readonly Cmd?: readonly string[] | null;
  readonly Privileged?: boolean;
  readonly User?: string;
  readonly WorkingDir?: string;
}

export interface ExecStartBody {
  readonly Detach?: boolean;
  readonly Tty?: boolean;
  readonly ConsoleSize?: readonly number[] | null;
}

/** `POST /exec/{id}/resize` */
export interface ExecResizeQuery {
  readonly h: number;
  readonly w: number;
}

export interface ExecInspectReply {
  readonly CanRemove?: boolean;
  readonly DetachKeys?: string;
  readonly ID?: string;
  readonly Running?: boolean;
  readonly ExitCode?: number;
  readonly ProcessConfig?: ProcessConfig;
  readonly OpenStdin?: boolean;
  readonly OpenStderr?: boolean;
  readonly OpenStdout?: boolean;
  readonly ContainerID?: string;
  readonly Pid?: number;
}
