import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { EngineError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { silentLog } from '#base/log.ts';
import { containerBody, jsonBody, type Route } from './call.ts';
import { ApiServer } from './server.ts';

async function listening(t: TestContext, routes: readonly Route[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-server-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const api = new ApiServer({ routes, log: silentLog, product: 'x' });
  const listener = api.createListener('unix');
  const socket = join(folder, 's');
  await new Promise<void>((resolve) => listener.listen(socket, resolve));
  t.after(() => listener.close());
  return socket;
}

function refuse(): Promise<void> {
  throw new EngineError('invalidArgument', 'not like that');
}

async function rest(client: Socket): Promise<string> {
  let answer = '';
  for await (const chunk of client) answer += String(chunk);
  return answer;
}

test('who still sends a body that is refused gets to read the refusal', async (t) => {
  const client = connect(await listening(t, [['POST', '/load', refuse]]));
  const body = Buffer.alloc(4 * 1024 * 1024);
  const errors: Error[] = [];
  client.on('error', (error) => errors.push(error));
  client.write(`POST /load HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length * 2}\r\n\r\n`);
  client.write(body);
  const start = performance.now();
  assert.match(await rest(client), /^HTTP\/1\.1 400 .*not like that/s);
  assert.deepEqual(errors, []);
  // The rest of the body never comes: the connection ends by itself.
  const waited = performance.now() - start;
  assert.ok(waited > 0.8 * LIMITS.refusedBodyMs && waited < 10 * LIMITS.refusedBodyMs, `${waited} ms`);
});

test('bodies have a size: that of a container another than the rest', async (t) => {
  const socket = await listening(t, [
    ['POST', '/containers/create', async (call) => call.reply.json(200, await containerBody(call))],
    ['POST', '/networks/create', async (call) => call.reply.json(200, await jsonBody(call))],
  ]);
  const post = async (path: string, sizeBytes: number): Promise<string> => {
    const client = connect(socket);
    client.write(
      `POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n`,
    );
    client.write(`Content-Length: ${sizeBytes}\r\n\r\n`);
    client.write(Buffer.alloc(sizeBytes, ' '));
    return (await rest(client)).slice('HTTP/1.1 '.length, 'HTTP/1.1 '.length + 3);
  };
  for (const [path, limit] of [
    ['/containers/create', LIMITS.containerBodyBytes],
    ['/networks/create', LIMITS.jsonBodyBytes],
  ] as const) {
    assert.equal(await post(path, limit), '200', path);
    assert.equal(await post(path, limit + 1), '413', path);
  }
});

test('a client that does not read is dropped when it lags too far', async (t) => {
  const stream: Route[2] = async ({ reply }) => {
    reply.begin('application/json');
    const line = `${'x'.repeat(1023)}\n`;
    let sentBytes = 0;
    while (reply.offer(line)) sentBytes += line.length;
    // What the socket took at once comes on top of the bound.
    assert.ok(sentBytes >= LIMITS.readerBufferBytes / 2 && sentBytes < 4 * LIMITS.readerBufferBytes);
    reply.drop();
  };
  const client = connect(await listening(t, [['GET', '/events', stream]]));
  client.on('error', () => undefined);
  client.write('GET /events HTTP/1.1\r\nHost: x\r\n\r\n');
  client.pause();
  await new Promise((resolve) => client.once('readable', resolve));
  const answer = await rest(client).catch(() => 'cut');
  assert.doesNotMatch(answer, /0\r\n\r\n$/, 'the answer is not whole');
});
