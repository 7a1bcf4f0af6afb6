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
  // crun writes errors of the C library, with a capital.
  const lower = message.toLowerCase();
  const has = (texts: readonly string[]): boolean => texts.some((text) => lower.includes(text));
  const as = (exitCode: number): StartFailure => ({
    exitCode,
    error: new EngineError('invalidArgument', message, { cause: error }),
  });
  if (has(NOT_FOUND)) return as(127);
  if (has(NOT_EXECUTABLE)) return as(126);
  if (has(['not a directory']) && message.startsWith('failed to create task')) return as(127);
  return {
    exitCode: 128,
    error: isEngineError(error) ? error : new EngineError('internal', message, { cause: error }),
  };
}
