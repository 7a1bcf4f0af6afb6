import { EngineError, type ErrorKind } from '#base/errors.ts';

/** The only place where error kinds become HTTP status numbers. */
const STATUS: Readonly<Record<ErrorKind, number>> = {
  invalidArgument: 400,
  unauthenticated: 401,
  permissionDenied: 403,
  notFound: 404,
  conflict: 409,
  alreadyExists: 409,
  tooLarge: 413,
  rateLimited: 429,
  notModified: 304,
  notImplemented: 501,
  unavailable: 503,
  internal: 500,
  dataLoss: 500,
};

export const OK = 200;
export const CREATED = 201;
export const NO_CONTENT = 204;
export const SWITCHING = 101;
export const INTERNAL = 500;

export function statusOf(error: unknown): number {
  return error instanceof EngineError ? STATUS[error.kind] : INTERNAL;
}

const REASONS: Readonly<Record<number, string>> = {
  101: 'UPGRADED',
  200: 'OK',
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  409: 'Conflict',
  413: 'Request Entity Too Large',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  503: 'Service Unavailable',
};

/** For answers written by hand on a hijacked connection. */
export function statusLine(status: number): string {
  return `HTTP/1.1 ${status} ${REASONS[status] ?? 'Error'}`;
}
