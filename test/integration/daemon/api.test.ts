import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { run } from '../../support/command.ts';
import { startDaemon } from '../../support/daemon.ts';

test('the API answers as recorded: versions, paths, content types, swarm, what is not there', async () => {
  await using daemon = await startDaemon();
  const ping = await daemon.api('/_ping');
  assert.equal(ping.body.toString(), 'OK');
  assert.equal(ping.headers['api-version'], '1.51');
  assert.equal((await daemon.api('/v1.10/info')).body.toString().split('.').length > 1, true);
  assert.deepEqual((await daemon.api('/v1.51/nosuch')).json, { message: 'page not found' });
  assert.equal((await daemon.api('/v1.51/swarm')).status, 503);
  assert.equal((await daemon.api('/v1.51/build', { method: 'POST' })).status, 501);
  const body = Buffer.from('{"Image":"x"}');
  const plain = { method: 'POST', raw: body, headers: { 'content-type': 'text/plain' } };
  assert.match(
    (await daemon.api('/v1.51/containers/create', plain)).body.toString(),
    /unsupported Content-Type header \(text\/plain\)/,
  );
  const trailing = {
    method: 'POST',
    raw: Buffer.from('{} x'),
    headers: { 'content-type': 'application/json' },
  };
  assert.deepEqual((await daemon.api('/v1.51/containers/create', trailing)).json, {
    message: 'unexpected content after JSON',
  });
});

test('a client that writes half a request harms nobody; a second daemon on the same root is refused', async () => {
  await using daemon = await startDaemon();
  const lazy = connect(daemon.socket);
  lazy.write('GET /info HTTP/1.1\r\nHo');
  assert.equal((await daemon.api('/_ping')).status, 200);
  lazy.destroy();
  const second = await run('bin/gantryd', [
    '--data-root',
    daemon.dataRoot,
    '--exec-root',
    `${daemon.root}/e2`,
    '--pidfile',
    `${daemon.root}/p2`,
    '-H',
    `unix://${daemon.root}/s2.sock`,
  ]);
  assert.equal(second.exit, 1);
  assert.match(second.stderr, /is in use by another daemon, process \d+/);
});
