import { isJsonObject, parseJson, type JsonObject, type JsonValue } from '#base/json.ts';
import { LIMITS } from '#base/limits.ts';
import { stringMap } from '#oci/descriptor.ts';
import { parseChallenges } from '../auth/challenge.ts';
import { RegistryError } from '../errors.ts';
import { readDocument, type Answer, type Wire } from '../transport/exchange.ts';
import { retryAfterMs } from './retry.ts';

/*
 * An answer that refuses, as an error with the text that the reference's client makes of it (`errcode` and
 * `HandleErrorResponse` of the distribution project).
 */

/** What each code says where the registry says nothing more. */
const MESSAGES: Readonly<Record<string, string>> = {
  UNKNOWN: 'unknown error',
  UNSUPPORTED: 'The operation is unsupported.',
  UNAUTHORIZED: 'authentication required',
  DENIED: 'requested access to the resource is denied',
  UNAVAILABLE: 'service unavailable',
  TOOMANYREQUESTS: 'too many requests',
  DIGEST_INVALID: 'provided digest did not match uploaded content',
  SIZE_INVALID: 'provided length did not match content length',
  NAME_INVALID: 'invalid repository name',
  TAG_INVALID: 'manifest tag did not match URI',
  NAME_UNKNOWN: 'repository name not known to registry',
  MANIFEST_UNKNOWN: 'manifest unknown',
  MANIFEST_INVALID: 'manifest invalid',
  MANIFEST_UNVERIFIED: 'manifest failed signature verification',
  MANIFEST_BLOB_UNKNOWN: 'blob unknown to registry',
  BLOB_UNKNOWN: 'blob unknown to registry',
  BLOB_UPLOAD_UNKNOWN: 'blob upload unknown to registry',
  BLOB_UPLOAD_INVALID: 'blob upload invalid',
  PAGINATION_NUMBER_INVALID: 'invalid number of results requested',
};

interface Refusal {
  readonly text: string;
  readonly codes: readonly string[];
}

function words(code: string): string {
  return code.toLowerCase().replaceAll('_', ' ');
}

function one(value: JsonValue): Refusal {
  const object: JsonObject = isJsonObject(value) ? value : {};
  const texts = stringMap(object);
  const given = texts['code'] ?? '';
  const code = Object.hasOwn(MESSAGES, given) ? given : 'UNKNOWN';
  const message = texts['message'] ?? '';
  const isPlain = (object['detail'] ?? null) === null && (message === '' || message === MESSAGES[code]);
  return {
    text: isPlain ? words(code) : `${words(code)}: ${message || (MESSAGES[code] ?? '')}`,
    codes: [given || code],
  };
}

function several(errors: readonly JsonValue[]): Refusal {
  const all = errors.map(one);
  const codes = all.flatMap((refusal) => refusal.codes);
  const [first] = all;
  if (all.length === 1 && first !== undefined) return first;
  return { text: `errors:\n${all.map(({ text }) => `${text}\n`).join('')}`, codes };
}

function withMessage(status: number, message: string): Refusal {
  const code =
    new Map([
      [401, 'UNAUTHORIZED'],
      [403, 'DENIED'],
      [429, 'TOOMANYREQUESTS'],
    ]).get(status) ?? 'UNKNOWN';
  return { text: `${words(code)}: ${message}`, codes: [code] };
}

const JSON_TYPE = /^\s*application\/(?:vnd\.api\+)?json\s*(?:;|$)/i;

/** What the body of a refusal says, as `parseHTTPErrorResponse` reads it. */
export function readRefusal(status: number, contentType: string, body: string): Refusal {
  if (!JSON_TYPE.test(contentType)) return withMessage(status, body);
  const unreadable = (why: string): Refusal =>
    status === 401
      ? { text: 'unauthorized: authentication required', codes: ['UNAUTHORIZED'] }
      : { text: `error parsing HTTP ${status} response body: ${why}: ${JSON.stringify(body)}`, codes: [] };
  let value: JsonValue;
  try {
    value = parseJson(body, 'body');
  } catch {
    const why = `invalid character '${body.charAt(0)}' looking for beginning of value`;
    return unreadable(body === '' ? 'unexpected end of JSON input' : why);
  }
  if (isJsonObject(value)) {
    const { details, errors } = value;
    if (typeof details === 'string' && details !== '') return withMessage(status, details);
    if (Array.isArray(errors) && errors.length > 0) return several(errors);
  }
  return unreadable('no error details found in HTTP response body');
}

/** Errors of OAuth that stand in the demand itself (RFC 6750, section 3.1). */
function demanded(answer: Answer): Refusal | undefined {
  for (const { scheme, parameters } of parseChallenges(answer.challenges)) {
    const error = scheme === 'bearer' ? parameters.get('error') : undefined;
    const code = error === 'invalid_token' ? 'UNAUTHORIZED' : error === 'insufficient_scope' ? 'DENIED' : '';
    if (code === '') continue;
    const text = parameters.get('error_description') || (MESSAGES[code] ?? '');
    return { text: `${words(code)}: ${text}`, codes: [code] };
  }
  return undefined;
}

function merge(first: Refusal | undefined, second: Refusal): Refusal {
  if (first === undefined) return second;
  return {
    text: `errors:\n${first.text}\n${second.text}\n`,
    codes: [...new Set([...first.codes, ...second.codes])],
  };
}

/** Reads the body, bounded, and says what it means. Its own failures to be read count as an empty body. */
export async function answerError(answer: Answer, wire: Wire): Promise<RegistryError> {
  const bytes = await readDocument(answer, wire, LIMITS.errorBodyBytes).catch(() => null);
  const { status } = answer;
  const pause = retryAfterMs(answer.headers['retry-after']);
  if (status < 400 || status >= 500) {
    const text = `received unexpected HTTP status: ${status} ${answer.statusText}`;
    return new RegistryError(text, { status, retryAfterMs: pause });
  }
  const refusal = merge(
    demanded(answer),
    readRefusal(status, answer.headers['content-type'] ?? '', (bytes ?? Buffer.alloc(0)).toString('utf8')),
  );
  return new RegistryError(refusal.text, { status, codes: refusal.codes, retryAfterMs: pause });
}
