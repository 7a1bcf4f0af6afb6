import type { SpecNamespaceType } from '#oci/runtime-spec.ts';
import type { StartError } from '../runc/errors.ts';
import type { Fields, FieldValue } from '../shim/protocol.ts';
import type { LaunchFacts } from '../shim/launch-facts.ts';
import type { ExecRequest, StartRequest } from '../task.ts';
import type { LiveTask } from './live-task.ts';

export type FieldList = readonly (readonly [number, FieldValue])[];

/** What one way of starting adds to a START or EXEC: fields, and bits of the field `flags`. */
export interface StartCall {
  readonly fields: FieldList;
  readonly flags: number;
}

/** What is known of a start before anything of it is made. */
export interface StartIntent {
  readonly request: StartRequest;
  /** The task's, to be made. */
  readonly directory: string;
  /** Path of a namespace of another running task; good until the start is over. */
  readonly open: (id: string, type: SpecNamespaceType) => string;
}

export interface StartWork extends StartIntent {
  readonly task: LiveTask;
  /** Waits for the shim's first words. */
  readonly shimPid: () => Promise<number>;
}

export interface ExecWork {
  readonly task: LiveTask;
  readonly request: ExecRequest;
}

/** One way to start processes: by a launch plan of ours, or by an OCI runtime. */
export interface Starter {
  readonly name: string;
  /** Where the OCI runtime keeps its own state of a container; '' without one. */
  stateOf(id: string): string;
  /** Bits of ASSIGN's field `flags`. */
  readonly assignFlags: number;
  /** A start can begin while its network is still connected. */
  readonly takesNetworkLater: boolean;
  /** The oldest version of the shim's protocol that will do. */
  readonly shimVersion: number;
  /**
   * First, and once for a start. What an exec will have to know, to be written before anything happens.
   * Errors: of a spec that is refused.
   */
  facts(intent: StartIntent): Promise<LaunchFacts | undefined>;
  start(work: StartWork): Promise<StartCall>;
  startFailure(fields: Fields, work: StartWork): Promise<StartError>;
  exec(work: ExecWork): Promise<StartCall>;
  execFailure(fields: Fields, work: ExecWork): Promise<StartError>;
  /** Another try of an exec that failed, or null. */
  execAgain(fields: Fields, work: ExecWork): Promise<StartCall | null>;
  /** An exec that takes too long: what starts it is ended. */
  cancelExec(work: ExecWork): Promise<void>;
  /** The exec runs or has failed: what only starting it needed goes. */
  execDone(work: ExecWork): void;
}
