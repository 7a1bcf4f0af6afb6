import assert from 'node:assert/strict';
import { test } from 'node:test';
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
  const { rootCertificates } = await import('node:tls');
  const began = process.hrtime.bigint();
  await trustedContext(Buffer.from(rootCertificates.join('\n')), null);
  clearInterval(timer);
  const tookMs = Number(process.hrtime.bigint() - began) / 1e6;
  assert.ok(turns > Math.min(4, tookMs / 4), `${turns} turns in ${tookMs} ms`);
});
