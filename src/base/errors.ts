/**
 * The closed set of error kinds. HTTP status numbers for them live only in `daemon/server/http-status.ts`.
 */
export type ErrorKind =
  | 'invalidArgument'
  | 'unauthenticated'
  | 'permissionDenied'
  | 'notFound'
  | 'conflict'
  | 'alreadyExists'
  | 'tooLarge'
  | 'rateLimited'
  | 'notModified'
  | 'notImplemented'
  | 'unavailable'
  | 'internal'
  | 'dataLoss';

export interface EngineErrorOptions {
  readonly cause?: unknown;
  /** One sentence that says what to do. Default: the cause's. */
  readonly hint?: string;
}

function hintOf(cause: unknown): string | undefined {
  return cause instanceof EngineError ? cause.hint : undefined;
}

/** An error that a client may see: `kind` decides the HTTP status, `message` is its text. */
export class EngineError extends Error {
  readonly kind: ErrorKind;
  readonly hint: string | undefined;

  constructor(kind: ErrorKind, message: string, options: EngineErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'EngineError';
    this.kind = kind;
    this.hint = options.hint ?? hintOf(options.cause);
  }
}

export function isEngineError(error: unknown, kind?: ErrorKind): error is EngineError {
  return error instanceof EngineError && (kind === undefined || error.kind === kind);
}

/** The text of anything that was thrown. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The errno name (`ENOENT`, …) that node or the host room put on an error, if there is one. */
export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
