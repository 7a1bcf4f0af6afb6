import { createHash } from 'node:crypto';
import type { Branded } from '#base/ids.ts';
import type { ExpectedContent } from '../storage-port.ts';

/** How a client names content: `sha256:` and 64 hexadecimal digits, or `sha512:` and 128. */
export type ContentName = Branded<'ContentName'>;

const CONTENT_NAME = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

export function isContentName(text: unknown): text is ContentName {
  return typeof text === 'string' && CONTENT_NAME.test(text);
}

export function expectedOf(name: ContentName): ExpectedContent {
  const colon = name.indexOf(':');
  return { algorithm: name.startsWith('sha512') ? 'sha512' : 'sha256', hex: name.slice(colon + 1) };
}

export function nameOf(bytes: Uint8Array, algorithm: 'sha256' | 'sha512'): ContentName {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}` as ContentName;
}
