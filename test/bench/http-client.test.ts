import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { HttpClient } from './http-client.ts';

/** Each request is answered with these pieces, each in a packet of its own. */
async function answering(pieces: readonly string[], ends: boolean) {
  const path = `/tmp/gantry-bench-client-${process.pid}-${Math.random()}.sock`;
  let connections = 0;
  const server = createServer((socket: Socket) => {
    connections += 1;
    socket.on('data', () => {
      void (async () => {
        for (const piece of pieces) {
          socket.write(piece);
          await new Promise((resolve) => setTimeout(resolve, 2));
        }
        if (ends) socket.end();
      })();
    });
  });
  server.listen(path);
  await once(server, 'listening');
  const client = new HttpClient(path);
  return {
    client,
    connections: () => connections,
    [Symbol.asyncDispose]: async () => {
      client.close();
      server.close();
    },
  };
}

const HEAD = 'HTTP/1.1 200 OK\r\n';

const KINDS: readonly (readonly [string, readonly string[], boolean, string, boolean])[] = [
  ['a length', [`${HEAD}Content-Le`, 'ngth: 4\r\n\r\nab', 'cd'], false, 'abcd', true],
  ['nothing', ['HTTP/1.1 204 No Content\r\n\r\n'], false, '', true],
  [
    'chunks that look like the last one',
    [`${HEAD}Transfer-Encoding: chunked\r\n\r\n7\r\n0\r\n\r\n`, 'xx\r\n1\r\ny\r\n0\r\n', '\r\n'],
    false,
    '0\r\n\r\nxxy',
    true,
  ],
  ['its end', [`${HEAD}Content-Type: x\r\n\r\nab`, 'cd'], true, 'abcd', false],
  ['a length, and goes', [`${HEAD}Connection: close\r\nContent-Length: 2\r\n\r\nab`], false, 'ab', false],
];

for (const [name, pieces, ends, text, keeps] of KINDS) {
  test(`an answer that ends by ${name} is read whole`, async () => {
    await using server = await answering(pieces, ends);
    for (let i = 0; i < 2; i++) {
      assert.equal((await server.client.request('GET', '/')).text, text);
    }
    assert.equal(server.connections() === 1, keeps);
  });
}

test('an answer that is cut short is an error', async () => {
  await using server = await answering([`${HEAD}Content-Length: 9\r\n\r\nab`], true);
  await assert.rejects(server.client.request('GET', '/'), /ended before the answer/);
});
