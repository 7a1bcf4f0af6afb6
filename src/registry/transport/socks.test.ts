import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { connectBy, targetBytes } from './socks.ts';

/** Answers with these bytes, one after each message, and keeps what it was told. */
async function proxyThat(
  t: { after: (work: () => void) => void },
  answers: readonly (readonly number[])[],
): Promise<{ readonly port: number; readonly heard: Buffer[] }> {
  const heard: Buffer[] = [];
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    const left = [...answers];
    socket.on('error', () => undefined);
    socket.on('data', (bytes: Buffer) => {
      heard.push(bytes);
      const answer = left.shift();
      if (answer === undefined) socket.end();
      // In two parts: nothing may rely on how bytes come.
      else {
        socket.write(Buffer.from(answer.slice(0, 1)));
        setTimeout(() => socket.write(Buffer.from(answer.slice(1))), 5);
      }
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, heard };
}

const TARGET = { host: 'r.example', port: 443 };
const OPEN = [5, 0, 0, 1, 127, 0, 0, 1, 0, 80];
const ASKED = Buffer.from([5, 1, 0, 3, 9, ...Buffer.from('r.example'), 1, 187]);

test('a name is told as it is, and what comes after the answer is left for the reader', async (t) => {
  const { port, heard } = await proxyThat(t, [
    [5, 0],
    [...OPEN, ...Buffer.from('hello')],
  ]);
  const socket = await connectBy(`socks5://127.0.0.1:${port}`, TARGET);
  assert.deepEqual(heard, [Buffer.from([5, 1, 0]), ASKED]);
  const [rest] = (await once(socket, 'data')) as [Buffer];
  assert.equal(rest.toString(), 'hello');
  socket.destroy();
});

test('a name and a password, where the proxy wants them', async (t) => {
  const { port, heard } = await proxyThat(t, [
    [5, 2],
    [1, 0],
    [5, 0, 0, 3, 1, 97, 0, 80],
  ]);
  const socket = await connectBy(`socks5h://u%40x:p@127.0.0.1:${port}`, TARGET);
  const password = Buffer.from([1, 3, ...Buffer.from('u@x'), 1, ...Buffer.from('p')]);
  assert.deepEqual(heard, [Buffer.from([5, 2, 0, 2]), password, ASKED]);
  socket.destroy();
});

test('what a proxy refuses, in the words that users know', async (t) => {
  const rows: readonly [answers: number[][], text: string][] = [
    [[[5, 255]], 'no acceptable authentication methods'],
    [[[5, 2]], 'no acceptable authentication methods'],
    [
      [
        [5, 0],
        [5, 2, 0, 1],
      ],
      'unknown error connection not allowed by ruleset',
    ],
    [
      [
        [5, 0],
        [5, 99, 0, 1],
      ],
      'unknown error unknown code: 99',
    ],
    [[[4, 0]], 'unexpected protocol version 4'],
    [[], 'EOF'],
  ];
  for (const [answers, text] of rows) {
    const { port } = await proxyThat(t, answers);
    await assert.rejects(connectBy(`socks5://127.0.0.1:${port}`, TARGET), {
      message: `socks connect tcp 127.0.0.1:${port}->r.example:443: ${text}`,
    });
  }
  const { port } = await proxyThat(t, [
    [5, 2],
    [1, 1],
  ]);
  await assert.rejects(
    connectBy(`socks5://u:p@127.0.0.1:${port}`, TARGET),
    /password authentication failed$/,
  );
  await assert.rejects(connectBy('socks5://127.0.0.1:1', TARGET), { code: 'ECONNREFUSED' });
});

test('addresses go as bytes', () => {
  const hex = (host: string): string => targetBytes({ host, port: 258 }).toString('hex');
  assert.equal(hex('10.0.0.255'), '010a0000ff0102');
  assert.equal(hex('fd00::1'), `04fd00${'0'.repeat(26)}01`.replace(/$/, '0102'));
  assert.equal(hex('::ffff:1.2.3.4'), `04${'0'.repeat(20)}ffff010203040102`);
  assert.equal(hex('1:2:3:4:5:6:7:8'), '04000100020003000400050006000700080102');
  assert.equal(hex('::'), `04${'0'.repeat(32)}0102`);
  assert.throws(() => targetBytes({ host: 'a'.repeat(256), port: 1 }), /more than 255 bytes/);
});
