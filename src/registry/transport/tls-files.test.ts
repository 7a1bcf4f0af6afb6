import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { hostCertificates } from './tls-files.ts';

function folderWith(t: TestContext, host: string, names: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'certs-'));
  t.after(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, host));
  for (const name of names) writeFileSync(join(folder, host, name), name);
  return folder;
}

test('authorities and pairs of the first folder that has the host', async (t) => {
  const first = folderWith(t, 'other', ['x.crt']);
  const second = folderWith(t, 'r.example:5000', ['ca.crt', 'client.cert', 'client.key', 'notes.txt']);
  const found = await hostCertificates([first, second], 'r.example:5000');
  assert.deepEqual(found?.authorities.map(String), ['ca.crt']);
  assert.deepEqual(
    found?.pairs.map(({ cert, key }) => [String(cert), String(key)]),
    [['client.cert', 'client.key']],
  );
  assert.equal(await hostCertificates([first, second], 'r.example'), null);
  assert.equal(await hostCertificates([second], '..'), null);
  assert.equal(await hostCertificates([second], '../r.example:5000'), null);
});

test('half of a pair is an error with the text of the reference', async (t) => {
  await assert.rejects(hostCertificates([folderWith(t, 'r', ['client.cert'])], 'r'), {
    kind: 'invalidArgument',
    message:
      'missing key client.key for client certificate client.cert. CA certificates must use the extension .crt',
  });
  await assert.rejects(hostCertificates([folderWith(t, 'r', ['client.key'])], 'r'), {
    message: 'missing client certificate client.cert for key client.key',
  });
});
