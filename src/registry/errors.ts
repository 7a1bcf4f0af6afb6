import { EngineError, type ErrorKind } from '#base/errors.ts';

export interface RegistryFailure {
  /** HTTP status of the answer; 0 when there was none. */
  readonly status: number;
  /** Codes of the answer's body (`MANIFEST_UNKNOWN`, …), in its order. */
  readonly codes?: readonly string[];
  /** `message` without the request in front of it: what pushes show. */
  readonly reason?: string;
  readonly retryAfterMs?: number | null;
  /** A certificate that nobody vouches for, a name that does not resolve: no repetition mends it. */
  readonly permanent?: boolean;
  readonly cause?: unknown;
  /** Where the code and the status do not say it. */
  readonly kind?: ErrorKind;
  readonly hint?: string;
}

const KINDS: Readonly<Record<string, ErrorKind>> = {
  UNAUTHORIZED: 'unauthenticated',
  DENIED: 'permissionDenied',
  MANIFEST_UNKNOWN: 'notFound',
  NAME_UNKNOWN: 'notFound',
  BLOB_UNKNOWN: 'notFound',
  TOOMANYREQUESTS: 'rateLimited',
  TAG_INVALID: 'invalidArgument',
  NAME_INVALID: 'invalidArgument',
  DIGEST_INVALID: 'invalidArgument',
  MANIFEST_INVALID: 'invalidArgument',
};

function kindOf(failure: RegistryFailure): ErrorKind {
  if (failure.kind !== undefined) return failure.kind;
  const named = failure.codes?.map((code) => KINDS[code]).find((kind) => kind !== undefined);
  if (named !== undefined) return named;
  if (failure.codes?.includes('UNKNOWN') === true) return 'internal';
  if (failure.status === 401) return 'unauthenticated';
  if (failure.status === 403) return 'permissionDenied';
  if (failure.status === 404) return 'notFound';
  return 'internal';
}

/** What a registry answered, or that it did not; the text is the one Go's client has for it. */
export class RegistryError extends EngineError {
  readonly status: number;
  readonly codes: readonly string[];
  readonly reason: string;
  readonly retryAfterMs: number | null;
  readonly permanent: boolean;

  constructor(message: string, failure: RegistryFailure) {
    super(kindOf(failure), message, {
      ...(failure.cause === undefined ? {} : { cause: failure.cause }),
      ...(failure.hint === undefined ? {} : { hint: failure.hint }),
    });
    this.name = 'RegistryError';
    this.status = failure.status;
    this.codes = failure.codes ?? [];
    this.reason = failure.reason ?? message;
    this.retryAfterMs = failure.retryAfterMs ?? null;
    this.permanent = failure.permanent ?? false;
  }
}
