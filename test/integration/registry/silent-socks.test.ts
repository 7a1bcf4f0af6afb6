import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { client } from './client-fixture.ts';

/** Takes connections and says nothing. */
async function silentProxy(t: TestContext): Promise<string> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    sockets.push(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `socks5://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('a SOCKS proxy that says nothing: connectMs, and a signal ends it at once', async (t) => {
  const proxy = { http: '', https: await silentProxy(t), no: '' };
  const target = { domain: 'r.example', path: 'team/app' };
  const patient = client(t, { proxy, tries: 1, timings: { connectMs: 60_000 } });
  const stop = new AbortController();
  const aborted = patient
    .repository(target, { actions: 'pull', credentials: null, signal: stop.signal })
    .ping();
  setTimeout(() => stop.abort(new Error('enough')), 50);
  const began = performance.now();
  await assert.rejects(aborted, /enough/);
  const quick = client(t, { proxy, tries: 1 });
  await assert.rejects(
    quick.repository(target, { actions: 'pull', credentials: null }).ping(),
    /i\/o timeout/,
  );
  assert.ok(performance.now() - began < 8000);
});
