import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { LIMITS } from '#base/limits.ts';
import { startDaemon, type TestDaemon } from '../support/daemon.ts';
import { busyboxArchive } from '../support/images.ts';
import { mutate } from './mutate.ts';
import { assertAlive, descriptorCount, descriptorsBack, peakBytes, sendRaw } from './raw-http.ts';
import { type Chance, fuzz } from './rounds.ts';

const MIB = 1024 * 1024;
const PEAK_BYTES = 400 * MIB;
const SMUGGLED =
  'POST /containers/create?name=smuggled HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 19\r\n\r\n{"Image":"busybox"}';

let daemon: TestDaemon;
let pid = 0;
let baseline = 0;
let sleeper = '';

async function create(name: string, body: Record<string, unknown>): Promise<string> {
  const made = await daemon.api(`/containers/create?name=${name}`, {
    method: 'POST',
    body: { Image: 'busybox', ...body },
  });
  assert.equal(made.status, 201, made.body.toString());
  const { Id } = made.json as { Id: string };
  assert.equal((await daemon.api(`/containers/${Id}/start`, { method: 'POST' })).status, 204);
  return Id;
}

async function newExec(body: Record<string, unknown> = {}): Promise<string> {
  const all = { Cmd: ['cat'], AttachStdin: true, AttachStdout: true, AttachStderr: true, ...body };
  const made = await daemon.api(`/containers/${sleeper}/exec`, { method: 'POST', body: all });
  assert.equal(made.status, 201, made.body.toString());
  return (made.json as { Id: string }).Id;
}

function head(line: string, headers: readonly string[] = []): string {
  return `${[line, 'Host: docker', ...headers].join('\r\n')}\r\n\r\n`;
}

function post(path: string, headers: readonly string[], body = ''): string {
  return head(`POST ${path} HTTP/1.1`, ['Content-Type: application/json', ...headers]) + body;
}

before(async () => {
  daemon = await startDaemon({ args: ['-H', 'tcp://127.0.0.1:2375'] });
  await daemon.loadImage((await busyboxArchive()).archive);
  sleeper = await create('sleeper', { Cmd: ['sleep', '86400'] });
  await daemon.api('/containers/json?all=1');
  pid = daemon.pid;
  baseline = descriptorCount(pid);
});

after(async () => {
  await daemon[Symbol.asyncDispose]();
});

describe('malformed requests are refused, and nothing smuggled is run', () => {
  const CREATE = '/containers/create?name=first';
  const body = `0\r\n\r\n${SMUGGLED}`;
  const cases: readonly (readonly [string, string])[] = [
    [
      'length and chunks',
      post(CREATE, [`Content-Length: ${body.length}`, 'Transfer-Encoding: chunked'], body),
    ],
    ['chunks and length', post(CREATE, ['Transfer-Encoding: chunked', 'Content-Length: 4'], body)],
    ['two lengths', post(CREATE, ['Content-Length: 0', `Content-Length: ${SMUGGLED.length}`], SMUGGLED)],
    ['a list of lengths', post(CREATE, ['Content-Length: 0, 5'], SMUGGLED)],
    ['a negative length', post(CREATE, ['Content-Length: -1'], SMUGGLED)],
    ['a length with a sign', post(CREATE, ['Content-Length: +0'], SMUGGLED)],
    ['a length beyond 64 bits', post(CREATE, ['Content-Length: 18446744073709551616'], SMUGGLED)],
    ['a hexadecimal length', post(CREATE, ['Content-Length: 0x0'], SMUGGLED)],
    ['an unknown encoding', post(CREATE, ['Transfer-Encoding: xchunked'], body)],
    ['chunks not last', post(CREATE, ['Transfer-Encoding: chunked, identity'], body)],
    ['a chunk beyond 64 bits', post(CREATE, ['Transfer-Encoding: chunked'], `FFFFFFFFFFFFFFFFF\r\n${body}`)],
    ['a chunk without a number', post(CREATE, ['Transfer-Encoding: chunked'], `zz\r\n${body}`)],
    ['a chunk that is too long', post(CREATE, ['Transfer-Encoding: chunked'], `1\r\nabc\r\n${body}`)],
    ['a space before the colon', post(CREATE, ['Content-Length : 5'], SMUGGLED)],
    ['a folded header', post(CREATE, ['X: a\r\n Transfer-Encoding: chunked'], SMUGGLED)],
    ['a NUL in a header', post(CREATE, ['X: a\0b', 'Content-Length: 0'])],
    ['a bare carriage return', post(CREATE, ['X: a\rContent-Length: 5', 'Content-Length: 0'])],
    ['no HTTP at all', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'.padEnd(300, 'x')],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['a version that is none', head('GET /_ping HTTP/9.9')],
  ];
  for (const [name, bytes] of cases) {
    test(name, async () => {
      const answer = await sendRaw(daemon.socket, { parts: [bytes], halfClose: true });
      assert.ok(answer.closed, `still open after ${answer.milliseconds} ms: ${answer.text}`);
      assert.ok(answer.statuses.length <= 1, answer.text);
      assert.ok(
        answer.statuses.every((status) => status >= 400 && status < 500),
        answer.text,
      );
      const names = (await daemon.api('/containers/json?all=1')).json as { Names: string[] }[];
      assert.deepEqual(
        names.map((container) => container.Names[0]),
        ['/sleeper'],
      );
      await assertAlive(daemon, pid);
    });
  }
});

describe('odd but readable requests are answered', () => {
  const cases: readonly (readonly [string, string, (status: number) => boolean])[] = [
    ['a line without version', 'GET /_ping\r\n\r\n', (status) => status === 200 || status === 400],
    ['HTTP/1.0', 'GET /_ping HTTP/1.0\r\n\r\n', (status) => status === 200],
    [
      'a whole address',
      head('GET http://elsewhere/_ping HTTP/1.1', ['Connection: close']),
      (status) => status < 500,
    ],
    ['a star', head('OPTIONS * HTTP/1.1', ['Connection: close']), (status) => status < 500],
    ['TRACE', head('TRACE / HTTP/1.1', ['Connection: close']), (status) => status >= 400],
    [
      'an upgrade that is not one',
      head('GET /_ping HTTP/1.1', ['Connection: Upgrade', 'Upgrade: websocket']),
      (status) => status === 200,
    ],
    [
      'an upgrade to HTTP/2',
      head('POST /session HTTP/1.1', ['Connection: Upgrade', 'Upgrade: h2c']),
      (status) => status >= 400,
    ],
    [
      'broken percent signs',
      head('GET /containers/%zz/json HTTP/1.1', ['Connection: close']),
      (status) => status >= 400 && status < 500,
    ],
    ['dots', head('GET /../../etc/passwd HTTP/1.1', ['Connection: close']), (status) => status === 404],
    [
      'a name from the prototype',
      head('GET /containers/__proto__/json HTTP/1.1', ['Connection: close']),
      (status) => status === 404,
    ],
    [
      'filters from the prototype',
      head('GET /containers/json?filters=%7B%22__proto__%22:%5B%22a%22%5D%7D HTTP/1.1', [
        'Connection: close',
      ]),
      (status) => status < 500,
    ],
    [
      'a plain text body',
      head('POST /containers/create HTTP/1.1', [
        'Content-Type: text/plain',
        'Content-Length: 2',
        'Connection: close',
      ]) + '{}',
      (status) => status >= 400 && status < 500,
    ],
    [
      'a body without type',
      head('POST /containers/create HTTP/1.1', ['Content-Length: 2', 'Connection: close']) + '{}',
      (status) => status >= 400 && status < 500,
    ],
  ];
  for (const [name, bytes, expected] of cases) {
    test(name, async () => {
      const answer = await sendRaw(daemon.socket, { parts: [bytes], halfClose: true });
      assert.ok(answer.closed, `still open: ${answer.text}`);
      assert.equal(answer.statuses.length, 1, answer.text);
      assert.ok(expected(answer.statuses[0] ?? 0), answer.text);
      await assertAlive(daemon, pid);
    });
  }
});

test('CONNECT gets no tunnel', async () => {
  const answer = await sendRaw(daemon.socket, {
    parts: [head('CONNECT elsewhere:443 HTTP/1.1')],
    halfClose: true,
  });
  assert.ok(answer.closed);
  assert.ok(
    answer.statuses.every((status) => status >= 400),
    answer.text,
  );
  await assertAlive(daemon, pid);
});

describe('sizes are bounded', () => {
  test('a header block that is too large', async () => {
    const bytes = head('GET /_ping HTTP/1.1', [`X-Long: ${'x'.repeat(LIMITS.headerBlockBytes)}`]);
    const answer = await sendRaw(daemon.socket, { parts: [bytes] });
    assert.ok(answer.closed && answer.statuses.every((status) => status === 431), answer.text);
  });

  test('a body of 300 MB', async () => {
    const part = Buffer.alloc(MIB, 0x20);
    const parts = Array.from({ length: 300 }, () => part);
    const start = head('POST /containers/create HTTP/1.1', [
      'Content-Type: application/json',
      `Content-Length: ${300 * MIB}`,
    ]);
    const answer = await sendRaw(daemon.socket, { parts: [start, ...parts], waitMs: 20_000 });
    assert.ok(answer.closed);
    assert.ok(
      answer.statuses.every((status) => status === 413),
      answer.text,
    );
    assert.ok(peakBytes(pid) < PEAK_BYTES, `${peakBytes(pid)} bytes`);
  });

  test('chunks without end', async () => {
    const chunk = `10000\r\n${' '.repeat(65_536)}\r\n`;
    const start = post('/containers/create', ['Transfer-Encoding: chunked']);
    const answer = await sendRaw(daemon.socket, {
      parts: [start, ...Array.from({ length: 500 }, () => chunk)],
      waitMs: 10_000,
    });
    assert.ok(answer.closed);
    assert.ok(
      answer.statuses.every((status) => status === 413),
      answer.text,
    );
  });

  for (const depth of [100, 5000, 1_000_000]) {
    test(`JSON ${depth} levels deep`, async () => {
      const text = `{"Labels":${'['.repeat(depth)}${']'.repeat(depth)}}`;
      const answer = await daemon.api('/containers/create', {
        method: 'POST',
        raw: Buffer.from(text),
        headers: { 'content-type': 'application/json' },
      });
      assert.equal(answer.status, 400, answer.body.toString());
    });
  }

  test('a header that never ends is given up', async () => {
    // Node looks every half of the limit.
    const waitMs = 1.8 * LIMITS.headerTimeoutMs;
    const answer = await sendRaw(daemon.socket, {
      parts: ['GET /_ping HTTP/1.1\r\nHost: x\r\nX: '],
      waitMs,
    });
    assert.ok(answer.closed, `still open after ${waitMs} ms`);
    assert.ok(answer.milliseconds > 0.9 * LIMITS.headerTimeoutMs, `${answer.milliseconds} ms`);
  });

  test('a connection on which nothing is asked is ended without an answer', async () => {
    const waitMs = 1.8 * LIMITS.headerTimeoutMs;
    const answer = await sendRaw(daemon.socket, { parts: [], waitMs });
    assert.ok(answer.closed, `still open after ${waitMs} ms`);
    assert.equal(answer.text, '');
  });

  test('all descriptors are back', () => descriptorsBack(daemon, baseline));
});

test('requests from web pages over TCP are refused', async () => {
  const cases: readonly (readonly [string, string])[] = [
    ['Host: evil.example', '403'],
    ['Host: 127.0.0.1.evil.example', '403'],
    ['Origin: http://evil.example', '403'],
    ['Origin: null', '403'],
    ['Host: localhost:2375', '200'],
  ];
  for (const [header, status] of cases) {
    const args = [
      'curl',
      '-s',
      '-o',
      '/dev/null',
      '-w',
      '%{http_code}',
      '-m',
      '5',
      '-H',
      header,
      'http://127.0.0.1:2375/version',
    ];
    assert.equal((await daemon.inNetwork(args)).stdout, status, header);
  }
});

function exchange(chance: Chance): string {
  const paths = [
    '/_ping',
    '/containers/json',
    '/containers/create',
    `/containers/${sleeper}/json`,
    '/events',
    '/images/json',
    '/exec/x/start',
    '/version',
  ];
  const body = JSON.stringify({ Image: 'none', Labels: { a: 'b' } });
  const lines = [`Content-Length: ${body.length}`, 'Connection: close'];
  if (chance.flip(0.3)) lines.push('Transfer-Encoding: chunked');
  if (chance.flip(0.2)) lines.push('Connection: Upgrade', 'Upgrade: tcp');
  if (chance.flip(0.2)) lines.push('Expect: 100-continue');
  const method = chance.pick(['GET', 'POST', 'DELETE', 'HEAD', 'PUT']);
  const version = chance.pick(['', '/v1.51', '/v1.24', '/v9.99']);
  return (
    head(`${method} ${version}${chance.pick(paths)} HTTP/1.1`, ['Content-Type: application/json', ...lines]) +
    body
  );
}

fuzz(
  'damaged requests are answered or closed, and the daemon lives on',
  { short: 60, share: 0.3 },
  async (chance) => {
    const bytes = mutate(Buffer.from(exchange(chance), 'latin1'), chance);
    const waitMs = chance.pick([50, 300]);
    const answer = await sendRaw(daemon.socket, {
      parts: chance.pieces(bytes),
      halfClose: chance.flip(),
      waitMs,
    });
    assert.ok(!answer.statuses.includes(500), `${JSON.stringify(bytes.toString('latin1'))}\n${answer.text}`);
    await assertAlive(daemon, pid);
  },
);

test('after all that the descriptors are back and memory is bounded', async () => {
  await descriptorsBack(daemon, baseline);
  assert.ok(peakBytes(pid) < PEAK_BYTES, `${peakBytes(pid)} bytes`);
});

test('an exec of the daemon still works', async () => {
  const id = await newExec({ Cmd: ['echo', 'well'] });
  const bytes = post(`/exec/${id}/start`, ['Connection: Upgrade', 'Upgrade: tcp', 'Content-Length: 2'], '{}');
  const answer = await sendRaw(daemon.socket, { parts: [bytes] });
  assert.match(answer.text, /^HTTP\/1\.1 101 .*well\n/s);
});
