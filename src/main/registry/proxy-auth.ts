import { constants, type Stats } from 'node:fs';
import { open } from 'node:fs/promises';
import { EngineError, errorMessage } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import type { Credentials } from '#registry/credentials.ts';

const OTHERS = 0o077;

function refused(path: string, why: string, cause?: unknown): EngineError {
  return new EngineError('invalidArgument', `credentials for the upstream registry: ${path}: ${why}`, {
    cause,
    hint: 'One line "user:password" in a file of its own: chmod 600 FILE.',
  });
}

function check(path: string, file: Stats): void {
  if (!file.isFile()) throw refused(path, 'not a file');
  const owner = process.getuid?.() ?? 0;
  if (file.uid !== owner && file.uid !== 0) throw refused(path, 'it belongs to somebody else');
  if ((file.mode & OTHERS) !== 0)
    throw refused(path, `others may read it (mode ${(file.mode & 0o777).toString(8)})`);
  if (file.size > LIMITS.proxyAuthBytes) throw refused(path, `more than ${LIMITS.proxyAuthBytes} bytes`);
}

/** `user:password`, which nobody else may read. Errors: `invalidArgument`, never with what is in the file. */
export async function readProxyAuth(path: string): Promise<Credentials> {
  // What waits for a writer, as a FIFO does, is refused and not waited for.
  const flags = constants.O_RDONLY | constants.O_NONBLOCK;
  const file = await open(path, flags).catch((error: unknown) => {
    throw refused(path, errorMessage(error), error);
  });
  try {
    check(path, await file.stat());
    const line = (await file.readFile('utf8')).replace(/\r?\n$/, '');
    const colon = line.indexOf(':');
    if (colon < 1 || line.includes('\n')) throw refused(path, 'not one line "user:password"');
    const [username, password] = [line.slice(0, colon), line.slice(colon + 1)];
    return { username, password, identityToken: '', registryToken: '', serverAddress: '' };
  } finally {
    await file.close();
  }
}
