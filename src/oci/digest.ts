import { createHash } from 'node:crypto';
import { EngineError } from '#base/errors.ts';
import type { Branded } from '#base/ids.ts';

/** `sha256:` and 64 lower-case hexadecimal digits; no other algorithm is accepted anywhere. */
export type Digest = Branded<'Digest'>;

const DIGEST = /^sha256:[0-9a-f]{64}$/;

export function isDigest(text: unknown): text is Digest {
  return typeof text === 'string' && DIGEST.test(text);
}

/** Errors: `invalidArgument`. Digests become file names, so everything from outside passes here. */
export function parseDigest(text: unknown): Digest {
  if (isDigest(text)) return text;
  throw new EngineError('invalidArgument', digestProblem(text));
}

/** The text the reference has for a bad digest. */
export function digestProblem(text: unknown): string {
  if (typeof text !== 'string' || !/^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$/.test(text)) {
    return 'invalid checksum digest format';
  }
  const algorithm = text.slice(0, text.indexOf(':'));
  if (algorithm !== 'sha256') return 'unsupported digest algorithm';
  return text.length === 'sha256:'.length + 64
    ? 'invalid checksum digest format'
    : 'invalid checksum digest length';
}

export function digestHex(digest: Digest): string {
  return digest.slice('sha256:'.length);
}

/** `hex` is 64 lower-case digits, from a hash of ours or a file name that was checked. */
export function digestFromHex(hex: string): Digest {
  return parseDigest(`sha256:${hex}`);
}

export function digestOf(bytes: Uint8Array | string): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}` as Digest;
}
