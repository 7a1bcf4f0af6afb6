import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect, createServer, rootCertificates } from 'node:tls';
import { makeAuthority, makeCertificate } from '../../../test/support/registry/certificates.ts';
import { partsOfBundle, trustedContext } from './trusted-context.ts';

const certificate = (name: string): string =>
  `# ${name}\n-----BEGIN CERTIFICATE-----\n${name}\n-----END CERTIFICATE-----\n`;

function partsOf(text: string, certificates: number): readonly string[] {
  return [...partsOfBundle(Buffer.from(text), certificates)].map(String);
}

test('a bundle is cut between certificates, and nothing of it is lost', () => {
  const all = ['a', 'b', 'c', 'd', 'e'].map(certificate);
  assert.deepEqual(partsOf(all.join(''), 2), [all.slice(0, 2).join(''), all.slice(2, 4).join(''), all[4]]);
  assert.deepEqual(partsOf(all.join(''), 5), [all.join('')]);
  const unended = all.join('').trimEnd();
  assert.equal(partsOf(unended, 5).join(''), unended);
  assert.deepEqual(partsOf('no certificate', 2), ['no certificate']);
  assert.deepEqual(partsOf('', 2), []);
});

test('others have their turn while a bundle is read', async () => {
  let turns = 0;
  const timer = setInterval(() => turns++, 0);
  const began = process.hrtime.bigint();
  await trustedContext(Buffer.from(rootCertificates.join('\n')), null);
  clearInterval(timer);
  const tookMs = Number(process.hrtime.bigint() - began) / 1e6;
  assert.ok(turns > Math.min(4, tookMs / 4), `${turns} turns in ${tookMs} ms`);
});

test('who signed a server is trusted wherever it stands in the bundle, and nobody else is', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'trusted-context-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const authority = await makeAuthority(folder);
  const made = await makeCertificate(authority, { name: 'server', hosts: ['127.0.0.1'] });
  const server = createServer({ cert: readFileSync(made.certificate), key: readFileSync(made.key) });
  t.after(() => server.close());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const ours = readFileSync(authority.certificate);
  const others = rootCertificates.slice(0, 19);
  const reach = async (bundle: readonly string[], authorities: readonly Buffer[] = []): Promise<void> => {
    const own = { authorities, pairs: [] };
    const secureContext = await trustedContext(Buffer.from(bundle.join('\n')), own);
    const socket = connect({ host: '127.0.0.1', port, secureContext });
    try {
      await once(socket, 'secureConnect');
    } finally {
      socket.destroy();
    }
  };
  for (const at of [0, 11, 19]) await reach(others.toSpliced(at, 0, ours.toString()));
  await reach(others, [ours]);
  await assert.rejects(reach(others), { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' });
  await assert.rejects(reach([]), { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' });
});
