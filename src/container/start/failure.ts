import { EngineError, errorMessage, isEngineError } from '#base/errors.ts';

/** What a failed start means: the exit code that inspect shows, and the error that the client gets. */
export interface StartFailure {
  readonly exitCode: number;
  readonly error: EngineError;
}

const NOT_FOUND = [
  'executable file not found',
  'no such file or directory',
  'system cannot find the file specified',
  'failed to run runc create/exec call',
];
const NOT_EXECUTABLE = ['permission denied', 'is a directory'];

/** The docker CLI makes 127 and 126 of these texts; other failures are 128. */
export function classifyStartFailure(error: unknown): StartFailure {
  const message = errorMessage(error);
  const has = (texts: readonly string[]): boolean => texts.some((text) => message.includes(text));
  const as = (exitCode: number): StartFailure => ({
    exitCode,
    error: new EngineError('invalidArgument', message, { cause: error }),
  });
  if (has(NOT_FOUND)) return as(127);
  if (has(NOT_EXECUTABLE)) return as(126);
  if (message.includes('not a directory') && message.startsWith('failed to create task')) {
    const hint =
      ': Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type';
    return {
      exitCode: 127,
      error: new EngineError('invalidArgument', `${message}${hint}`, { cause: error }),
    };
  }
  return {
    exitCode: 128,
    error: isEngineError(error) ? error : new EngineError('internal', message, { cause: error }),
  };
}
