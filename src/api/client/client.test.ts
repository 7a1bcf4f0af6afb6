import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { EngineClient, encodeQuery } from './client.ts';
import { wait } from './container.ts';
import { ApiError, ClientError, ConnectionError } from './errors.ts';

/** What a request looked like when its head, and a body of known length, had arrived. */
interface Seen {
  readonly head: string;
  readonly body: string;
}

type Answer = (socket: Socket, seen: Seen) => void | Promise<void>;

/** An HTTP server that says exactly the bytes a test wants, in the pieces it wants. */
class FakeEngine {
  readonly requests: Seen[] = [];
  readonly sockets: Socket[] = [];
  readonly #server: Server;
  readonly #folder: string;

  private constructor(folder: string, answer: Answer) {
    this.#folder = folder;
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      this.sockets.push(socket);
      socket.on('error', () => undefined);
      let text = '';
      let answered = false;
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1');
        const end = text.indexOf('\r\n\r\n');
        if (end < 0 || answered) return;
        const head = text.slice(0, end);
        const body = text.slice(end + 4);
        const length = Number(/content-length: (\d+)/.exec(head)?.[1] ?? 0);
        if (body.length < length || (head.includes('chunked') && !body.endsWith('0\r\n\r\n'))) return;
        answered = true;
        this.requests.push({ head, body });
        void answer(socket, { head, body });
      });
    });
  }

  static async start(answer: Answer): Promise<FakeEngine> {
    const folder = await mkdtemp(join(tmpdir(), 'gantry-client-'));
    const engine = new FakeEngine(folder, answer);
    await new Promise<void>((resolve) => engine.#server.listen(engine.path, resolve));
    return engine;
  }

  get path(): string {
    return join(this.#folder, 's');
  }

  client(apiVersion: string | undefined = '1.51'): EngineClient {
    return new EngineClient({ host: `unix://${this.path}`, ...(apiVersion !== undefined && { apiVersion }) });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
    await rm(this.#folder, { recursive: true });
  }
}

const says =
  (...pieces: string[]): Answer =>
  async (socket) => {
    for (const piece of pieces) {
      socket.write(piece);
      await new Promise((resolve) => setImmediate(resolve));
    }
    socket.end();
  };

const OK = 'HTTP/1.1 200 OK\r\n';

async function text(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

test('a chunked body arrives whole, however it is cut, with extensions and trailers', async () => {
  const whole = `${OK}Transfer-Encoding: chunked\r\n\r\n4;x=y\r\n{"a"\r\n8\r\n:[1,\r\n 2\r\n2\r\n]}\r\n0\r\nX-T: 1\r\n\r\n`;
  for (const pieces of [[whole], [...whole], whole.split(/(?<=\n)/)]) {
    await using engine = await FakeEngine.start(says(...pieces));
    assert.deepEqual(await engine.client().json('GET', '/x'), { a: [1, 2] });
  }
});

test('bodies by length and to the end of the connection; none for HEAD, 204 and 304', async () => {
  await using byLength = await FakeEngine.start(says(`${OK}Content-Length: 4\r\n\r\n"ab"more`));
  assert.equal(await byLength.client().json('GET', '/x'), 'ab');
  await using toEnd = await FakeEngine.start(says(OK, '\r\n', '[1', ',2]'));
  assert.deepEqual(await toEnd.client().json('GET', '/x'), [1, 2]);
  await using empty = await FakeEngine.start(says('HTTP/1.1 304 Not Modified\r\n\r\n'));
  assert.equal(await empty.client().send('POST', '/x'), 304);
});

test('informational answers are skipped, headers that repeat are joined', async () => {
  const early = 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n';
  await using engine = await FakeEngine.start(
    says(early, `${OK}X-A: 1\r\nx-a: 2\r\nContent-Length: 2\r\n\r\n{}`),
  );
  const response = await engine.client().call('GET', '/x');
  assert.equal(response.headers.get('x-a'), '1, 2');
  assert.equal(await text(response.body), '{}');
});

test('errors carry the status and the text, from JSON, plain text or nothing', async () => {
  for (const [body, message] of [
    ['{"message":"No such container: x"}\n', 'No such container: x'],
    ['page not found\n', 'page not found'],
    ['', 'the daemon answered with status 404'],
    ['{"other":1}', '{"other":1}'],
  ] as const) {
    const head = `HTTP/1.1 404 Not Found\r\nContent-Length: ${body.length}\r\n\r\n`;
    await using engine = await FakeEngine.start(says(head + body));
    await assert.rejects(engine.client().json('GET', '/x'), (error: unknown) => {
      assert.ok(error instanceof ApiError);
      assert.deepEqual([error.status, error.message], [404, message]);
      return true;
    });
  }
});

test('an answer that breaks off is an error, at every place', async () => {
  const whole = `${OK}Transfer-Encoding: chunked\r\n\r\n5\r\n"abc"\r\n0\r\n\r\n`;
  for (const length of [
    0,
    5,
    OK.length,
    whole.indexOf('5\r\n') + 1,
    whole.indexOf('abc'),
    whole.length - 7,
  ]) {
    await using engine = await FakeEngine.start(says(whole.slice(0, length)));
    await assert.rejects(engine.client().json('GET', '/x'), ClientError, `cut at ${length}`);
  }
  await using short = await FakeEngine.start(says(`${OK}Content-Length: 10\r\n\r\n"abc"`));
  await assert.rejects(short.client().json('GET', '/x'), /unexpected EOF/);
  await using noHttp = await FakeEngine.start(says('SSH-2.0-x\r\n\r\n'));
  await assert.rejects(noHttp.client().json('GET', '/x'), /malformed HTTP response "SSH-2.0-x"/);
});

test('the version is negotiated once, by HEAD, then by GET, and stands in the path', async () => {
  await using engine = await FakeEngine.start((socket, { head }) => {
    if (head.startsWith('HEAD')) socket.end('HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n');
    else if (head.startsWith('GET /_ping'))
      socket.end(`${OK}Api-Version: 1.45\r\nContent-Length: 2\r\n\r\nOK`);
    else socket.end(`${OK}Content-Length: 2\r\n\r\n{}`);
  });
  const client = new EngineClient({ host: `unix://${engine.path}` });
  await Promise.all([
    client.json('GET', '/a'),
    client.json('GET', '/b', { query: { all: true, n: 0, no: false } }),
  ]);
  const lines = new Set(engine.requests.map(({ head }) => head.split(' HTTP')[0]));
  assert.equal(engine.requests.length, 4);
  assert.deepEqual(lines, new Set(['GET /_ping', 'GET /v1.45/a', 'GET /v1.45/b?all=1&n=0', 'HEAD /_ping']));
});

test('JSON goes out with its length, streams in chunks', async () => {
  await using engine = await FakeEngine.start(says(`${OK}Content-Length: 2\r\n\r\n{}`));
  await engine.client().json('POST', '/j', { json: { ü: 1 } });
  async function* stream(): AsyncGenerator<Uint8Array> {
    yield Buffer.from('hello');
    yield Buffer.alloc(0);
    yield Buffer.from('world!');
  }
  await engine.client().json('POST', '/s', { stream: stream(), contentType: 'application/x-tar' });
  assert.match(engine.requests[0]?.head ?? '', /content-type: application\/json\r\ncontent-length: 8/);
  assert.match(
    engine.requests[1]?.head ?? '',
    /transfer-encoding: chunked\r\ncontent-type: application\/x-tar/,
  );
  assert.equal(engine.requests[1]?.body, '5\r\nhello\r\n6\r\nworld!\r\n0\r\n\r\n');
});

test('an upgrade hands the connection over from the first byte; half-closing reaches the other side', async () => {
  await using engine = await FakeEngine.start((socket) => {
    socket.write('HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\nfirst ');
    socket.once('end', () => socket.end('last'));
  });
  const hijacked = await engine.client().hijack('POST', '/attach');
  assert.equal(hijacked.status, 101);
  assert.equal(hijacked.contentType, 'application/vnd.docker.raw-stream');
  hijacked.socket.end();
  assert.equal(await text(hijacked.output), 'first last');
  assert.match(engine.requests[0]?.head ?? '', /connection: Upgrade\r\nupgrade: tcp/i);
});

test('an upgrade that is refused is an error with its text', async () => {
  const body = '{"message":"container x is not running"}';
  const head = `HTTP/1.1 409 Conflict\r\nContent-Length: ${body.length}\r\n\r\n`;
  await using engine = await FakeEngine.start(says(head + body));
  await assert.rejects(engine.client().hijack('POST', '/attach'), /container x is not running/);
});

test('lines come as they are written, over cuts inside of characters', async () => {
  const bytes = Buffer.from('{"a":"ü"}\r\n\r\n{"b":2}\n{"c":3}');
  await using engine = await FakeEngine.start(async (socket) => {
    socket.write(`${OK}\r\n`);
    for (const byte of bytes) {
      socket.write(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    socket.end();
  });
  const seen: unknown[] = [];
  for await (const line of engine.client().lines('GET', '/events')) seen.push(line);
  assert.deepEqual(seen, [{ a: 'ü' }, { b: 2 }, { c: 3 }]);
});

test('wait resolves with the headers, its reply with the body', async () => {
  const later = Promise.withResolvers<void>();
  await using engine = await FakeEngine.start(async (socket) => {
    socket.write(`${OK}Transfer-Encoding: chunked\r\n\r\n`);
    await later.promise;
    socket.end('10\r\n{"StatusCode":3}\r\n0\r\n\r\n');
  });
  const { reply } = await wait(engine.client(), 'x', { condition: 'next-exit' });
  later.resolve();
  assert.deepEqual(await reply, { StatusCode: 3 });
  assert.match(engine.requests[0]?.head ?? '', /^POST \/v1.51\/containers\/x\/wait\?condition=next-exit /);
});

test('giving a body up, and an abort, close the connection', async () => {
  await using engine = await FakeEngine.start((socket) => {
    socket.write(`${OK}\r\nsome`);
  });
  const response = await engine.client().call('GET', '/logs');
  for await (const chunk of response.body) {
    assert.equal(chunk.toString(), 'some');
    break;
  }
  const closed = (socket: Socket | undefined): Promise<void> =>
    new Promise((resolve) => {
      if (socket === undefined || socket.readableEnded || socket.destroyed) resolve();
      else socket.once('end', () => resolve()).once('close', () => resolve());
    });
  await closed(engine.sockets[0]);
  const abort = new AbortController();
  const aborted = await engine.client().call('GET', '/logs', { signal: abort.signal });
  abort.abort();
  await assert.rejects(text(aborted.body));
  await closed(engine.sockets[1]);
  await assert.rejects(engine.client().call('GET', '/logs', { signal: abort.signal }), /abort/i);
});

test('nobody there, no permission, no such scheme: the texts that users know', async () => {
  const nobody = new EngineClient({ host: 'unix:///nosuch/s', apiVersion: '1.51' });
  await assert.rejects(nobody.json('GET', '/x'), (error: unknown) => {
    assert.ok(error instanceof ConnectionError);
    assert.equal(
      error.message,
      'Cannot connect to the Docker daemon at unix:///nosuch/s. Is the docker daemon running?',
    );
    return true;
  });
  assert.throws(() => new EngineClient({ host: 'ssh://x' }), /this client speaks unix:\/\/ and tcp:\/\//);
  assert.throws(() => new EngineClient({ host: 'nonsense' }), /unable to parse docker host `nonsense`/);
});

test('a line break never gets into a request', async () => {
  await using engine = await FakeEngine.start(says(`${OK}\r\n`));
  const evil = { headers: { 'x-a': '1\r\nX-B: 2' } };
  await assert.rejects(engine.client().call('GET', '/x', evil), /invalid header field value for "x-a"/);
  await assert.rejects(engine.client().call('GET', '/a\r\nb'), /invalid request path/);
  assert.equal(encodeQuery({ a: 'x\r\ny', b: ['1', '2'], c: undefined, d: '' }), '?a=x%0D%0Ay&b=1&b=2');
});
