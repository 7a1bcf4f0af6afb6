/** A name server that takes every question and answers none. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { LIMITS } from '#base/limits.ts';
import { startDaemon } from '../../support/daemon.ts';
import { dockerIsMissing } from '../../support/e2e.ts';
import { nodeBeside } from '../../support/registry/beside.ts';
import { nothingIsBegun, pull } from '../../support/registry/fixture.ts';

const ETC = {
  'resolv.conf': 'nameserver 127.0.0.53\noptions timeout:12 attempts:1\n',
  'nsswitch.conf': 'hosts: dns\n',
  hosts: '127.0.0.1 localhost\n',
};
const SILENT = `
  const socket = require('node:dgram').createSocket('udp4');
  socket.on('message', () => process.send?.('asked'));
  socket.bind(53, '127.0.0.53', () => process.send?.('ready'));
  process.on('disconnect', () => process.exit(0));
`;

test('names that nobody looks up: a clear error, in time, and the daemon goes on', {
  timeout: 180_000,
}, async (t) => {
  const missing = await dockerIsMissing();
  if (missing !== false) return t.skip(missing);
  await using daemon = await startDaemon({ etc: ETC });
  const server = nodeBeside(daemon, ['-e', SILENT]);
  t.after(() => server.kill('SIGKILL'));
  await once(server, 'message');
  const asked = once(server, 'message');
  const pulling = pull(daemon, 'silent.example/team/app:v', { timeoutMs: 150_000 });
  await asked;
  const began = Date.now();
  assert.equal((await daemon.api('/images/json')).status, 200);
  assert.ok(Date.now() - began < 3000, 'others are answered meanwhile');
  const { error, tookMs } = await pulling;
  assert.match(error, /dial tcp: lookup silent\.example: i\/o timeout/);
  const pausesMs = LIMITS.registryTries * 4000;
  const mostMs = LIMITS.registryLookupMs + LIMITS.registryTries * LIMITS.registryConnectMs + pausesMs;
  assert.ok(tookMs < mostMs + 60_000, `${tookMs} ms`);
  await nothingIsBegun({ daemon });
});
