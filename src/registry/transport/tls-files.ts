import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, errorMessage } from '#base/errors.ts';
import { RegistryError } from '../errors.ts';

/** What `certs.d/<host[:port]>/` says about one registry. */
export interface HostCertificates {
  readonly authorities: readonly Buffer[];
  readonly pairs: readonly { readonly cert: Buffer; readonly key: Buffer }[];
}

const BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/pki/tls/cacert.pem',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

/** The authorities this host trusts, the first bundle there is; null: those that Node brings. */
export async function systemAuthorities(): Promise<Buffer | null> {
  const named = process.env['SSL_CERT_FILE'];
  for (const path of named === undefined ? BUNDLES : [named]) {
    try {
      return await readFile(path);
    } catch {
      continue;
    }
  }
  return null;
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).toSorted();
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw new RegistryError(errorMessage(error), { status: 0, permanent: true, cause: error });
  }
}

function missingHalf(message: string): RegistryError {
  return new RegistryError(message, { status: 0, permanent: true, kind: 'invalidArgument' });
}

async function readFolder(folder: string, names: readonly string[]): Promise<HostCertificates> {
  const authorities: Buffer[] = [];
  const pairs: { cert: Buffer; key: Buffer }[] = [];
  for (const name of names) {
    const stem = name.replace(/\.[^.]*$/, '');
    if (name.endsWith('.crt')) authorities.push(await readFile(join(folder, name)));
    else if (name.endsWith('.cert')) {
      if (!names.includes(`${stem}.key`)) {
        throw missingHalf(
          `missing key ${stem}.key for client certificate ${name}. CA certificates must use the extension .crt`,
        );
      }
      const [cert, key] = await Promise.all([
        readFile(join(folder, name)),
        readFile(join(folder, `${stem}.key`)),
      ]);
      pairs.push({ cert, key });
    } else if (name.endsWith('.key') && !names.includes(`${stem}.cert`)) {
      throw missingHalf(`missing client certificate ${stem}.cert for key ${name}`);
    }
  }
  return { authorities, pairs };
}

/** Of the first folder that has a folder for this host. Errors: `RegistryError` where half of a pair lacks. */
export async function hostCertificates(
  folders: readonly string[],
  host: string,
): Promise<HostCertificates | null> {
  // A host's name has neither a slash nor dots alone; what has is not looked for.
  if (!/^[\w.:[\]-]+$/.test(host) || /^\.+$/.test(host)) return null;
  for (const folder of folders) {
    const path = join(folder, host);
    const names = await namesIn(path);
    if (names.length > 0) return await readFolder(path, names);
  }
  return null;
}
