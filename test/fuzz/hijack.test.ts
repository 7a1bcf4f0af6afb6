import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { until } from '../support/command.ts';
import { startDaemon, type TestDaemon } from '../support/daemon.ts';
import { busyboxArchive } from '../support/images.ts';
import { mutate } from './mutate.ts';
import { assertAlive, descriptorCount, descriptorsBack, peakBytes, sendRaw } from './raw-http.ts';
import { fuzz } from './rounds.ts';

const PEAK_BYTES = 400 * 1024 * 1024;
/** P1: what another client waits while one misbehaves; one slow answer of many is the machine's. */
const PATIENCE_MS = 100;

let daemon: TestDaemon;
let pid = 0;
let baseline = 0;
let number = 0;

async function api(method: string, path: string, body?: unknown): Promise<unknown> {
  const answer = await daemon.api(path, { method, ...(body !== undefined && { body }) });
  assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${answer.body.toString()}`);
  return answer.json;
}

async function container(cmd: readonly string[], more: Record<string, unknown> = {}): Promise<string> {
  const body = { Image: 'busybox', Cmd: cmd, ...more };
  const { Id } = (await api('POST', `/containers/create?name=h${number++}`, body)) as { Id: string };
  await api('POST', `/containers/${Id}/start`);
  return Id;
}

function cat(tty = false): Promise<string> {
  return container(['cat'], { OpenStdin: true, Tty: tty });
}

async function execOf(id: string, cmd: readonly string[], tty = false): Promise<string> {
  const body = { Cmd: cmd, AttachStdin: true, AttachStdout: true, AttachStderr: true, Tty: tty };
  return ((await api('POST', `/containers/${id}/exec`, body)) as { Id: string }).Id;
}

const UPGRADE = 'Connection: Upgrade\r\nUpgrade: tcp\r\n';

function attach(id: string, headers: string): string {
  return `POST /containers/${id}/attach?stream=1&stdin=1&stdout=1&stderr=1 HTTP/1.1\r\nHost: x\r\n${headers}\r\n`;
}

function startExec(exec: string, headers: string, tty = false): string {
  const body = JSON.stringify({ Detach: false, Tty: tty });
  const type = `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n`;
  return `POST /exec/${exec}/start HTTP/1.1\r\nHost: x\r\n${type}${headers}\r\n${body}`;
}

before(async () => {
  daemon = await startDaemon();
  await daemon.loadImage((await busyboxArchive()).archive);
  await container(['sleep', '86400']);
  await api('GET', '/containers/json');
  pid = daemon.pid;
  baseline = descriptorCount(pid);
});

after(async () => {
  await daemon[Symbol.asyncDispose]();
});

async function removed(...ids: string[]): Promise<void> {
  for (const id of ids) await api('DELETE', `/containers/${id}?force=1`);
  await assertAlive(daemon, pid);
}

const PIPELINED = 'POST /containers/create?name=pipelined HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n';

/** Input is never run as a request, whether it comes with the request that hijacks or right after it. */
async function assertNotRun(request: string, isUpgrade: boolean): Promise<void> {
  const parts = [request + PIPELINED];
  const answer = await sendRaw(daemon.socket, { parts, until: /POST .*pipelined HTTP/, waitMs: 1500 });
  // Without an upgrade the daemon cannot tell such input from a request, and closes.
  if (isUpgrade) assert.match(answer.text, /POST .*pipelined HTTP/, answer.text);
  else assert.ok(answer.closed, answer.text);
  assert.ok([...answer.text.matchAll(/^HTTP\/1.1/gm)].length <= 1, answer.text);
}

for (const [way, headers] of [
  ['an upgrade', UPGRADE],
  ['none', ''],
] as const) {
  for (const tty of [false, true]) {
    describe(`with ${way}, ${tty ? 'with' : 'without'} a terminal`, () => {
      test('what follows an attach request is input, not a request', async () => {
        const id = await cat(tty);
        await assertNotRun(attach(id, headers), headers !== '');
        await removed(id);
      });

      test('what follows an exec request is input, not a request', async () => {
        const id = await cat(tty);
        await assertNotRun(startExec(await execOf(id, ['cat'], tty), headers, tty), headers !== '');
        await removed(id);
      });

      test('a body on an attach request does not end the daemon or the container', async () => {
        const id = await cat(tty);
        for (const framing of ['Content-Length: 5\r\n', 'Transfer-Encoding: chunked\r\n']) {
          const parts = [`${attach(id, `${headers}${framing}`)}hello`];
          const answer = await sendRaw(daemon.socket, { parts, waitMs: 400 });
          assert.ok(!answer.statuses.includes(500), answer.text);
          await assertAlive(daemon, pid);
        }
        const { State } = (await api('GET', `/containers/${id}/json`)) as { State: { Running: boolean } };
        assert.ok(State.Running);
        await removed(id);
      });

      test('input that ends lets the program end, output goes on to its end', async () => {
        const id = await container(['sh', '-c', 'wc -c; echo done'], { OpenStdin: true, StdinOnce: true });
        const answer = await sendRaw(daemon.socket, {
          parts: [attach(id, headers)],
          afterAnswer: 'x'.repeat(100_000),
          halfClose: true,
          waitMs: 8000,
        });
        assert.match(answer.text, /100000\n[^]*done\n/, answer.text.slice(0, 200));
        assert.ok(answer.closed);
        await removed(id);
      });
    });
  }
}

test('nothing of what was piped in was run', async () => {
  const all = (await api('GET', '/containers/json?all=1')) as { Names: string[] }[];
  assert.ok(!all.some((one) => one.Names.includes('/pipelined')));
});

/** Connects, sends, and reads nothing. */
function mute(request: string): Socket {
  const socket = connect({ path: daemon.socket });
  socket.on('error', () => undefined);
  socket.pause();
  socket.write(request);
  return socket;
}

async function slowest(rounds: number): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const started = performance.now();
    await api('GET', '/containers/json');
    times.push(performance.now() - started);
  }
  return times.sort((a, b) => a - b).at(-2) ?? 0;
}

test('clients that never read cost no memory and no time of others', async () => {
  const id = await container(['sh', '-c', 'yes 0123456789abcdef0123456789abcdef']);
  const exec = await execOf(id, ['yes', 'exec']);
  const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;
  const requests = [
    ...[attach(id, UPGRADE), attach(id, ''), startExec(exec, UPGRADE)],
    ...[get(`/containers/${id}/logs?stdout=1&follow=1`), get('/events'), get(`/containers/${id}/stats`)],
  ];
  const sockets = requests.map(mute);
  const before = peakBytes(pid);
  await new Promise((resolve) => setTimeout(resolve, 2500));
  const late = await slowest(20);
  const grown = peakBytes(pid) - before;
  for (const socket of sockets) socket.destroy();
  await removed(id);
  assert.ok(late < PATIENCE_MS, `another client waited ${late} ms`);
  assert.ok(grown < 64 * 1024 * 1024, `${grown} bytes more`);
});

test('clients that vanish are noticed, their execs and attachments end nothing', async () => {
  const id = await cat();
  const sockets: Socket[] = [];
  for (let i = 0; i < 10; i++) {
    sockets.push(mute(attach(id, i % 2 === 0 ? UPGRADE : '')));
    sockets.push(mute(startExec(await execOf(id, ['cat']), i % 2 === 0 ? UPGRADE : '')));
    sockets.push(mute(`GET /containers/${id}/logs?stdout=1&follow=1 HTTP/1.1\r\nHost: x\r\n\r\n`));
    sockets.push(mute('GET /events HTTP/1.1\r\nHost: x\r\n\r\n'));
    sockets.push(mute(`POST /containers/${id}/wait HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n`));
  }
  await until(() => (descriptorCount(pid) >= baseline + 40 ? true : undefined), {
    what: 'forty connections',
  });
  for (const socket of sockets) socket.destroy();
  const { State } = (await api('GET', `/containers/${id}/json`)) as { State: { Running: boolean } };
  assert.ok(State.Running);
  await removed(id);
  await descriptorsBack(daemon, baseline);
});

fuzz('damaged hijacking requests', { short: 20, share: 0.05 }, async (chance) => {
  const id = await cat(chance.flip());
  const headers = chance.flip() ? UPGRADE : '';
  const request = chance.flip() ? attach(id, headers) : startExec(await execOf(id, ['cat']), headers);
  const bytes = mutate(Buffer.from(`${request}some input\n`), chance);
  await sendRaw(daemon.socket, { parts: chance.pieces(bytes), halfClose: chance.flip(), waitMs: 150 });
  await removed(id);
});

test('after all that the descriptors are back and memory is bounded', async () => {
  await descriptorsBack(daemon, baseline);
  assert.ok(peakBytes(pid) < PEAK_BYTES, `${peakBytes(pid)} bytes`);
});
