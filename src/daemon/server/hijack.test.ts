import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { silentLog } from '#base/log.ts';
import { containerBody, type Route } from './call.ts';
import { ApiServer } from './server.ts';

/** Echoes the body, then what comes on the taken-over connection, in upper case. */
const ECHO: Route = [
  'POST',
  '/echo',
  async (call) => {
    const body = await containerBody(call);
    const connection = call.hijack();
    connection.begin('application/vnd.docker.raw-stream', false);
    const client = connection.client({ stdin: true });
    await client.write({ stream: 'stdout', data: Buffer.from(`body ${JSON.stringify(body)};`) });
    for await (const chunk of client.input ?? []) {
      await client.write({
        stream: 'stdout',
        data: Buffer.from(Buffer.from(chunk).toString().toUpperCase()),
      });
    }
    connection.end();
  },
];

async function exchange(talk: (socket: Socket) => Promise<void>): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-hijack-'));
  const server = new ApiServer({ routes: [ECHO], log: silentLog, product: 'test' }).createListener('unix');
  const path = join(folder, 's.sock');
  await new Promise<void>((resolve) => server.listen(path, resolve));
  try {
    const socket = connect({ path, allowHalfOpen: true });
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    const ended = new Promise((resolve) => socket.once('end', resolve));
    await talk(socket);
    await ended;
    socket.destroy();
    return Buffer.concat(chunks).toString();
  } finally {
    server.close();
    rmSync(folder, { recursive: true });
  }
}

const answered = (socket: Socket): Promise<unknown> => new Promise((resolve) => socket.once('data', resolve));
const UPGRADE = 'Host: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n';

test('upgrade with a body in pieces, then input, then half-close', async () => {
  const text = await exchange(async (socket) => {
    socket.write(
      `POST /v1.51/echo HTTP/1.1\r\n${UPGRADE}Content-Type: application/json\r\nContent-Length: 7\r\n\r\n{"a"`,
    );
    socket.write(':1}');
    await answered(socket);
    socket.end('input');
  });
  assert.match(text, /^HTTP\/1\.1 101 UPGRADED\r\n/);
  assert.ok(text.endsWith('body {"a":1};INPUT'), text);
});

test('input that came in the same packet as an upgrade without a body is not lost', async () => {
  const text = await exchange(async (socket) => {
    socket.write(`POST /echo HTTP/1.1\r\n${UPGRADE}Content-Length: 0\r\n\r\nearly`);
    await answered(socket);
    socket.end('late');
  });
  assert.ok(text.endsWith('body null;EARLYLATE'), text);
});

test('a plain request is taken over, too; what follows is never parsed as HTTP', async () => {
  const text = await exchange(async (socket) => {
    socket.write('POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n');
    await answered(socket);
    socket.end('GET /_ping HTTP/1.1\r\n\r\n');
  });
  assert.match(text, /^HTTP\/1\.1 200 OK\r\n/);
  assert.ok(text.endsWith('body null;GET /_PING HTTP/1.1\r\n\r\n'), text);
});

test('an upgrade to a path that does not exist is answered in HTTP', async () => {
  const text = await exchange(async (socket) => {
    socket.write(`POST /nosuch HTTP/1.1\r\n${UPGRADE}\r\n`);
  });
  assert.match(text, /^HTTP\/1\.1 404 /);
  assert.match(text, /\{"message":"page not found"\}/);
});
