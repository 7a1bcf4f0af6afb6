import { isJsonObject, parseJson } from '#base/json.ts';
import { EngineError, type ErrorKind } from '#base/errors.ts';

/** What a failed `run` or `exec` of an OCI runtime left. */
export interface RuntimeFailure {
  readonly status: number;
  /** End of the runtime's log, JSON lines. */
  readonly logTail: string;
  readonly stderrTail: string;
  /** Why the shim could not run the runtime at all, or ''. */
  readonly shimMessage: string;
  readonly runtimePath: string;
}

/**
 * A container or an exec that could not be started. `exitCode` is what the record shows for it and the docker
 * CLI exits with: 127
 * for a missing command, 126 for one that cannot be run, else 128.
 */
export class StartError extends EngineError {
  readonly exitCode: 126 | 127 | 128;

  constructor(kind: ErrorKind, message: string, exitCode: 126 | 127 | 128) {
    super(kind, message);
    this.name = 'StartError';
    this.exitCode = exitCode;
  }
}

const COMMAND_NOT_FOUND = 127;
const CANNOT_RUN = 126;
const OTHER = 128;
const ENTERING_INIT = /^((?:exec|chdir to cwd) ?[:(])/;
const MAX_MESSAGE = 4096;

/** Message of the last line of level error (or fatal), else of the last line with any message. */
export function lastLogMessage(logTail: string): string {
  let last = '';
  let lastError = '';
  for (const line of logTail.split('\n')) {
    const entry = parseLine(line);
    if (entry === null || typeof entry.msg !== 'string') continue;
    last = entry.msg;
    if (entry.level === 'error' || entry.level === 'fatal') lastError = entry.msg;
  }
  return (lastError || last).slice(0, MAX_MESSAGE);
}

function parseLine(line: string): Record<string, unknown> | null {
  if (!line.startsWith('{')) return null;
  try {
    const json = parseJson(line, 'runtime log');
    return isJsonObject(json) ? json : null;
  } catch {
    return null;
  }
}

function reasonOf(failure: RuntimeFailure): string {
  const logged = lastLogMessage(failure.logTail);
  if (logged !== '') return logged;
  if (failure.shimMessage !== '') return `${failure.runtimePath}: ${failure.shimMessage}`;
  const printed = failure.stderrTail.trim().slice(-MAX_MESSAGE);
  if (failure.status === COMMAND_NOT_FOUND && printed === '') {
    return `fork/exec ${failure.runtimePath}: no such file or directory`;
  }
  return printed === ''
    ? `${failure.runtimePath} did not terminate successfully: exit status ${failure.status}`
    : printed;
}

/**
 * runc before 1.2 does not say that an error came from the container's init; the reference's runtime does.
 */
function fromInit(reason: string): string {
  const start = 'unable to start container process: ';
  const at = reason.indexOf(start);
  if (at < 0) return reason;
  const head = reason.slice(0, at + start.length);
  return head + reason.slice(head.length).replace(ENTERING_INIT, 'error during container init: $1');
}

/** The reference's text of a failed start. `isDirectory` answers for a path in the container's tree. */
export function startFailure(
  failure: RuntimeFailure,
  command: string,
  isDirectory: (path: string) => boolean,
): StartError {
  const reason = fromInit(reasonOf(failure).replace(/^runc run failed: /, 'runc create failed: '));
  return startError(directoryNamed(reason, isDirectory), command);
}

/** The reference's text around the reason for which nothing was started. */
export function startError(reason: string, command: string): StartError {
  const text = `OCI runtime create failed: ${reason}`;
  return classify(`failed to create task for container: failed to create shim task: ${text}`, command);
}

export function execError(reason: string, command: string): StartError {
  return classify(`OCI runtime exec failed: ${reason}`, command);
}

export function execFailure(
  failure: RuntimeFailure,
  command: string,
  isDirectory: (path: string) => boolean,
): StartError {
  return execError(directoryNamed(reasonOf(failure), isDirectory), command);
}

/** The command that could not be executed for lack of permission; null when that was not the reason. */
export function deniedCommand(failure: RuntimeFailure): string | null {
  return deniedIn(reasonOf(failure));
}

function deniedIn(reason: string): string | null {
  const match = /exec: ("(?:[^"\\]|\\.)*"): permission denied$/.exec(reason);
  if (match?.[1] === undefined) return null;
  try {
    const path: unknown = JSON.parse(match[1]);
    return typeof path === 'string' && path.startsWith('/') ? path : null;
  } catch {
    return null;
  }
}

/** An older runtime says only `permission denied` for a directory. */
function directoryNamed(reason: string, isDirectory: (path: string) => boolean): string {
  const path = deniedIn(reason);
  if (path === null || !isDirectory(path)) return reason;
  return reason.replace(/permission denied$/, 'is a directory: permission denied');
}

function classify(message: string, command: string): StartError {
  const text = message.toLowerCase();
  const named = command !== '' && text.includes(command.toLowerCase());
  const missing = text.includes('executable file not found') || text.includes('no such file or directory');
  if (named && missing) return new StartError('invalidArgument', message, COMMAND_NOT_FOUND);
  if (text.includes('permission denied') || text.includes('is a directory')) {
    return new StartError('invalidArgument', message, CANNOT_RUN);
  }
  if (text.includes('not a directory')) {
    const hint =
      ': Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type';
    return new StartError('invalidArgument', message + hint, COMMAND_NOT_FOUND);
  }
  return new StartError('internal', message, OTHER);
}
