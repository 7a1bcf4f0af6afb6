/*
 * What the registry refuses, with the codes and messages of the distribution specification ("Error Codes").
 * The only file of the server end that knows HTTP status numbers by heart.
 */

const MESSAGES = {
  BLOB_UNKNOWN: 'blob unknown to registry',
  BLOB_UPLOAD_INVALID: 'blob upload invalid',
  BLOB_UPLOAD_UNKNOWN: 'blob upload unknown to registry',
  DIGEST_INVALID: 'provided digest did not match uploaded content',
  MANIFEST_BLOB_UNKNOWN: 'manifest references a manifest or blob unknown to registry',
  MANIFEST_INVALID: 'manifest invalid',
  MANIFEST_UNKNOWN: 'manifest unknown to registry',
  NAME_INVALID: 'invalid repository name',
  NAME_UNKNOWN: 'repository name not known to registry',
  PAGINATION_NUMBER_INVALID: 'invalid number of results requested',
  SIZE_INVALID: 'provided length did not match content length',
  TAG_INVALID: 'manifest tag did not match URI',
  UNAUTHORIZED: 'authentication required',
  DENIED: 'requested access to the resource is denied',
  UNSUPPORTED: 'the operation is unsupported',
  TOOMANYREQUESTS: 'too many requests',
  UNAVAILABLE: 'service unavailable',
  UNKNOWN: 'unknown error',
} as const;

export type FaultCode = keyof typeof MESSAGES;

export const STATUS = {
  ok: 200,
  created: 201,
  accepted: 202,
  noContent: 204,
  partialContent: 206,
  notModified: 304,
  badRequest: 400,
  unauthorized: 401,
  notFound: 404,
  methodNotAllowed: 405,
  tooLarge: 413,
  rangeNotSatisfiable: 416,
  tooManyRequests: 429,
  internal: 500,
  badGateway: 502,
  unavailable: 503,
  noSpace: 507,
} as const;

export interface FaultOptions {
  readonly detail?: unknown;
  readonly message?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A refusal that the client sees. */
export class Fault extends Error {
  readonly status: number;
  readonly code: FaultCode;
  readonly detail: unknown;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, code: FaultCode, options: FaultOptions = {}) {
    super(options.message ?? MESSAGES[code]);
    this.name = 'Fault';
    this.status = status;
    this.code = code;
    this.detail = options.detail;
    this.headers = options.headers ?? {};
  }

  /** The body of the answer. */
  toJSON(): { readonly errors: readonly object[] } {
    const detail = this.detail === undefined ? {} : { detail: this.detail };
    return { errors: [{ code: this.code, message: this.message, ...detail }] };
  }
}

export const blobUnknown = (digest: string): Fault =>
  new Fault(STATUS.notFound, 'BLOB_UNKNOWN', { detail: { digest } });
export const manifestUnknown = (reference: string): Fault =>
  new Fault(STATUS.notFound, 'MANIFEST_UNKNOWN', { detail: { reference } });
export const nameUnknown = (name: string): Fault =>
  new Fault(STATUS.notFound, 'NAME_UNKNOWN', { detail: { name } });
export const uploadUnknown = (): Fault => new Fault(STATUS.notFound, 'BLOB_UPLOAD_UNKNOWN');
export const digestInvalid = (detail: string): Fault =>
  new Fault(STATUS.badRequest, 'DIGEST_INVALID', { detail });
export const manifestInvalid = (detail: string): Fault =>
  new Fault(STATUS.badRequest, 'MANIFEST_INVALID', { detail });
