import { setImmediate as nextTurn } from 'node:timers/promises';
import { createSecureContext, type SecureContext } from 'node:tls';
import type { HostCertificates } from './tls-files.ts';

/** So many are a millisecond of the main thread; a host's bundle has some 150. */
const CERTIFICATES_PER_TURN = 8;
const END = '-----END ';

/** What Node makes a context of, as far as it is used here. */
interface Trust {
  addCACert(certificates: Buffer): void;
}

/** A bundle in parts of some certificates each. */
export function* partsOfBundle(bundle: Buffer, certificates = CERTIFICATES_PER_TURN): Generator<Buffer> {
  let begin = 0;
  for (let at = bundle.indexOf(END), count = 1; at >= 0; at = bundle.indexOf(END, at + 1), count++) {
    if (count % certificates !== 0) continue;
    const newline = bundle.indexOf('\n', at);
    const end = newline < 0 ? bundle.length : newline + 1;
    yield bundle.subarray(begin, end);
    begin = end;
  }
  if (begin < bundle.length) yield bundle.subarray(begin);
}

/**
 * A context that trusts the host's authorities and the ones that stand for one registry; null for both: the
 * ones that Node brings. A whole bundle costs 15 to 30 ms of the main thread: others have their turn between
 * its parts.
 */
export async function trustedContext(
  authorities: Buffer | null,
  own: HostCertificates | null,
): Promise<SecureContext> {
  const pairs = own?.pairs ?? [];
  const ownAuthorities = own?.authorities ?? [];
  // Nor in the turn of what was before, or of the request that waits for it.
  await nextTurn();
  const context = createSecureContext({
    ...(authorities === null && ownAuthorities.length === 0 ? {} : { ca: [...ownAuthorities] }),
    ...(pairs.length === 0 ? {} : { cert: pairs.map(({ cert }) => cert), key: pairs.map(({ key }) => key) }),
  });
  await nextTurn();
  if (authorities === null) return context;
  const trust = context.context as Trust;
  for (const part of partsOfBundle(authorities)) {
    trust.addCACert(part);
    await nextTurn();
  }
  return context;
}
