import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { must } from '../command.ts';

export interface Authority {
  readonly folder: string;
  /** Path of the certificate that clients have to trust. */
  readonly certificate: string;
}

export interface CertificateWish {
  readonly name: string;
  readonly hosts: readonly string[];
  readonly isExpired?: boolean;
}

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
const AUTHORITY_CONFIG = `[ca]
default_ca=d
[d]
dir=.
database=index.txt
serial=serial
new_certs_dir=.
default_md=sha256
unique_subject=no
policy=p
[p]
commonName=supplied
`;

export async function makeAuthority(folder: string): Promise<Authority> {
  await mkdir(folder, { recursive: true });
  const names = ['-keyout', 'ca.key', '-out', 'ca.crt', '-days', '3650', '-subj', '/CN=test authority'];
  await must('openssl', ['req', '-x509', ...KEY, ...names], { cwd: folder });
  await writeFile(join(folder, 'index.txt'), '');
  await writeFile(join(folder, 'serial'), '01\n');
  await writeFile(join(folder, 'ca.cnf'), AUTHORITY_CONFIG);
  return { folder, certificate: join(folder, 'ca.crt') };
}

/** A certificate for hosts and addresses; the files are `<name>.crt` and `<name>.key`. */
export async function makeCertificate(
  authority: Authority,
  wish: CertificateWish,
): Promise<{ certificate: string; key: string }> {
  const { name } = wish;
  const cwd = authority.folder;
  const request = ['-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`];
  await must('openssl', ['req', ...KEY, ...request], { cwd });
  const alternatives = wish.hosts.map((host) => (/^[\d.]+$/.test(host) ? `IP:${host}` : `DNS:${host}`));
  await writeFile(join(cwd, `${name}.ext`), `subjectAltName=${alternatives.join(',')}\n`);
  const [from, to] = wish.isExpired === true ? ['2020', '2021'] : ['2020', '2090'];
  const dates = ['-startdate', `${from}0101000000Z`, '-enddate', `${to}0101000000Z`];
  const files = ['-in', `${name}.csr`, '-out', `${name}.crt`, '-extfile', `${name}.ext`];
  const signer = ['-config', 'ca.cnf', '-cert', 'ca.crt', '-keyfile', 'ca.key', '-notext', '-batch'];
  await must('openssl', ['ca', ...signer, ...files, ...dates], { cwd });
  return { certificate: join(cwd, `${name}.crt`), key: join(cwd, `${name}.key`) };
}
