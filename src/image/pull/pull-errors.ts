import { EngineError, errorCode, errorMessage, isEngineError } from '#base/errors.ts';
import {
  configVerificationFailed,
  layersMismatch,
  manifestNotFound,
  pullAccessDenied,
  registerLayerFailed,
  repositoryNotFound,
} from '#api/messages.ts';
import type { Digest } from '#oci/digest.ts';
import { familiarName, familiarReference, type Reference } from '#oci/reference.ts';
import { RegistryError } from '#registry/errors.ts';

/*
 * What a registry said, in the words that the reference puts around it. A registry's own sentence is wrapped
 * where it says more than the bare name of its error.
 */

/** `MANIFEST_UNKNOWN` → `manifest unknown`: how an error reads about which nothing else was said. */
function bareText(code: string): string {
  return code.toLowerCase().replaceAll('_', ' ');
}

/** Of a manifest, before anything was reported. */
export function manifestError(error: unknown, reference: Reference): unknown {
  if (!(error instanceof RegistryError)) return error;
  const [code] = error.codes;
  const { message, cause } = error;
  if (code === undefined || message === bareText(code)) return error;
  if (code === 'MANIFEST_UNKNOWN')
    return new EngineError('notFound', `${manifestNotFound(familiarReference(reference))}: ${message}`, {
      cause,
    });
  if (code === 'NAME_UNKNOWN')
    return new EngineError('notFound', `${repositoryNotFound(familiarName(reference))}: ${message}`, {
      cause,
    });
  if (code === 'DENIED')
    return new EngineError('notFound', `${pullAccessDenied(familiarName(reference))}: ${message}`, { cause });
  return error;
}

/** What came for a digest is something else: it shows when the pull has begun, and is told in its stream. */
export function isOtherManifest(error: unknown): error is RegistryError {
  return error instanceof RegistryError && error.reason.startsWith('manifest verification failed');
}

/** Of an image's config. */
export function configError(error: unknown, digest: Digest): unknown {
  if (!(error instanceof RegistryError)) return error;
  const text = error.message.startsWith('error verifying digest')
    ? configVerificationFailed(digest)
    : error.status === 404
      ? `download failed after attempts=1: ${error.message}`
      : error.message;
  return new EngineError('internal', `error pulling image configuration: ${text}`, { cause: error });
}

/** Of a layer that came, and cannot be made a tree. */
export function unpackError(error: unknown): unknown {
  if (errorCode(error) === 'DIGEST_MISMATCH') return error;
  const message = errorMessage(error);
  if (isEngineError(error, 'invalidArgument') && message.startsWith('invalid diffID'))
    return new EngineError('invalidArgument', layersMismatch(), { cause: error });
  if (isEngineError(error, 'invalidArgument'))
    return new EngineError('invalidArgument', registerLayerFailed(message), { cause: error });
  if (errorCode(error) === 'ENOSPC' || errorCode(error) === 'EDQUOT')
    return new EngineError('internal', registerLayerFailed(noSpace(message)), {
      cause: error,
      hint: 'Make room on the disk of the data root and pull again.',
    });
  return error;
}

function noSpace(message: string): string {
  return message.includes('no space left on device') && !message.startsWith('ENOSPC')
    ? message.replace(/^(\w+) (?!\/)/, '$1 /')
    : 'write: no space left on device';
}
