import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { until } from '../../support/command.ts';
import { startDaemon, type TestDaemon } from '../../support/daemon.ts';
import { busyboxArchive } from '../../support/images.ts';

/* Clients that never read, vanish, close one half, or come back on the same connection. */

const UPGRADE = 'Connection: Upgrade\r\nUpgrade: tcp\r\n';

async function post(daemon: TestDaemon, path: string, body?: unknown): Promise<unknown> {
  const answer = await daemon.api(path, { method: 'POST', ...(body !== undefined && { body }) });
  assert.ok(answer.status < 300, `${path}: ${answer.status} ${answer.body.toString()}`);
  return answer.json;
}

async function create(daemon: TestDaemon, command: readonly string[], config: object = {}): Promise<string> {
  const { reference } = await busyboxArchive();
  const made = await post(daemon, '/containers/create', { Image: reference, Cmd: command, ...config });
  return (made as { Id: string }).Id;
}

async function running(daemon: TestDaemon, command: readonly string[], config: object = {}): Promise<string> {
  const id = await create(daemon, command, config);
  await post(daemon, `/containers/${id}/start`);
  return id;
}

async function daemonWithImage(): Promise<TestDaemon> {
  const daemon = await startDaemon({ args: ['--debug'] });
  await daemon.loadImage((await busyboxArchive()).archive);
  return daemon;
}

/** Sends a request by hand and waits for the first bytes of the answer. Nothing is read afterwards. */
async function raw(daemon: TestDaemon, head: string, body = ''): Promise<Socket> {
  const socket = connect({ path: daemon.socket, allowHalfOpen: true });
  socket.on('error', () => undefined);
  const length = body === '' ? '' : `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n`;
  socket.write(`${head} HTTP/1.1\r\nHost: docker\r\n${length}`);
  socket.write(head.includes('/attach') || head.includes('/exec/') ? `${UPGRADE}\r\n${body}` : `\r\n${body}`);
  await new Promise<void>((resolve, reject) => {
    socket.once('readable', resolve);
    socket.once('close', () => reject(new Error(`closed without an answer: ${head}`)));
  });
  return socket;
}

async function descriptors(daemon: TestDaemon): Promise<number> {
  return (await readdir(`/proc/${daemon.pid}/fd`)).length;
}

async function rssKib(daemon: TestDaemon): Promise<number> {
  const status = await readFile(`/proc/${daemon.pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]);
}

async function execOf(daemon: TestDaemon, id: string, command: readonly string[]): Promise<string> {
  const body = { Cmd: command, AttachStdout: true, AttachStderr: true, AttachStdin: true };
  return ((await post(daemon, `/containers/${id}/exec`, body)) as { Id: string }).Id;
}

test('200 clients that vanish leave no descriptor and no error behind', { timeout: 120_000 }, async () => {
  await using daemon = await daemonWithImage();
  const id = await running(daemon, ['sh', '-c', 'while true; do echo line; sleep 1; done']);
  const before = await descriptors(daemon);
  const heads = [
    `POST /containers/${id}/attach?stream=1&stdout=1&stderr=1&logs=1`,
    `GET /containers/${id}/logs?follow=1&stdout=1&stderr=1`,
    'GET /events',
    `POST /containers/${id}/wait`,
  ];
  for (let round = 0; round < 10; round++) {
    const sockets = await Promise.all(
      Array.from({ length: 20 }, (_none, i) => raw(daemon, heads[i % heads.length] ?? '')),
    );
    for (const socket of sockets) socket.destroy();
  }
  const after = async (): Promise<true | undefined> =>
    (await descriptors(daemon)) <= before ? true : undefined;
  await until(after, { what: `${before} descriptors again` });
  assert.equal(((await daemon.api('/info')).json as { NEventsListener: number }).NEventsListener, 0);
  const log = await readFile(daemon.logFile, 'utf8');
  assert.doesNotMatch(log, /"level":"(error|warn)"/);
});

test('execs whose client vanishes run on, and their descriptors go when they end', {
  timeout: 60_000,
}, async () => {
  await using daemon = await daemonWithImage();
  const id = await running(daemon, ['sleep', '600']);
  const before = await descriptors(daemon);
  const ids: string[] = [];
  for (let i = 0; i < 10; i++) {
    const exec = await execOf(daemon, id, ['sh', '-c', 'echo up; sleep 1']);
    const socket = await raw(daemon, `POST /exec/${exec}/start`, '{"Detach":false,"Tty":false}');
    socket.destroy();
    ids.push(exec);
  }
  const inspect = async (exec: string): Promise<{ Running: boolean; ExitCode: number | null }> =>
    (await daemon.api(`/exec/${exec}/json`)).json as { Running: boolean; ExitCode: number | null };
  for (const exec of ids) {
    const ended = async (): Promise<true | undefined> => ((await inspect(exec)).Running ? undefined : true);
    await until(ended, { what: 'end of the exec' });
    assert.equal((await inspect(exec)).ExitCode, 0);
  }
  const after = async (): Promise<true | undefined> =>
    (await descriptors(daemon)) <= before ? true : undefined;
  await until(after, { what: `${before} descriptors again` });
});

test('clients that never read cost the daemon little, and others nothing', { timeout: 120_000 }, async () => {
  await using daemon = await daemonWithImage();
  const id = await running(daemon, [
    'sh',
    '-c',
    'sleep 1; yes 0123456789012345678901234567890 | head -c 60000000; sleep 600',
  ]);
  const sockets = await Promise.all([
    ...Array.from({ length: 5 }, () =>
      raw(daemon, `POST /containers/${id}/attach?stream=1&stdout=1&stderr=1`),
    ),
    ...Array.from({ length: 5 }, () =>
      raw(daemon, `GET /containers/${id}/logs?follow=1&stdout=1`).catch(() => null),
    ),
  ]);
  const written = async (): Promise<true | undefined> => {
    const answer = await daemon.api(`/containers/${id}/logs?stdout=1&tail=1`, { timeoutMs: 5000 });
    return answer.status === 200 && (await logSize(daemon, id)) > 60_000_000 ? true : undefined;
  };
  await until(written, { what: 'the whole log', timeoutMs: 60_000 });
  const start = performance.now();
  assert.equal((await daemon.api('/_ping')).status, 200);
  assert.ok(performance.now() - start < 1000);
  const rss = await rssKib(daemon);
  assert.ok(rss < 250 * 1024, `${rss} KiB resident`);
  for (const socket of sockets) socket?.destroy();
});

async function logSize(daemon: TestDaemon, id: string): Promise<number> {
  const text = await readFile(`${daemon.dataRoot}/containers/${id}/${id}-json.log`);
  return text.length;
}

/** Everything until the other side closes. */
async function rest(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('latin1');
}

test('a client that closes its half of the connection ends the input and reads the output', async () => {
  await using daemon = await daemonWithImage();
  const id = await create(daemon, ['sh', '-c', 'cat; echo over'], {
    OpenStdin: true,
    StdinOnce: true,
    AttachStdin: true,
    AttachStdout: true,
  });
  const socket = await raw(daemon, `POST /containers/${id}/attach?stream=1&stdin=1&stdout=1&stderr=1`);
  await post(daemon, `/containers/${id}/start`);
  socket.end('what came in\n');
  assert.match(await rest(socket), /what came in\n.*over\n/s);

  const sleeper = await running(daemon, ['sleep', '600']);
  const exec = await execOf(daemon, sleeper, ['sh', '-c', 'wc -c; echo done']);
  const running2 = await raw(daemon, `POST /exec/${exec}/start`, '{"Detach":false,"Tty":false}');
  running2.end('x'.repeat(100_000));
  assert.match(await rest(running2), /100000\n.*done\n/s);
});

test('requests come one after the other on a connection that is kept', async () => {
  await using daemon = await daemonWithImage();
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ask = (path: string, method = 'GET'): Promise<{ status: number; port: Socket }> =>
    new Promise((resolve, reject) => {
      const outgoing = request({ socketPath: daemon.socket, agent, path, method }, (response) => {
        response.resume();
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, port: outgoing.socket as Socket }),
        );
      });
      outgoing.on('error', reject);
      outgoing.end();
    });
  const id = await create(daemon, ['true']);
  const first = await ask('/_ping');
  for (const [path, method, status] of [
    ['/containers/nosuch/json', 'GET', 404],
    [`/containers/${id}/start`, 'POST', 204],
    [`/containers/${id}/wait`, 'POST', 200],
    [`/containers/${id}/logs?stdout=1`, 'GET', 200],
    ['/nosuch', 'GET', 404],
    ['/v1.51/info', 'GET', 200],
  ] as const) {
    const next = await ask(path, method);
    assert.equal(next.status, status, path);
    assert.equal(next.port, first.port, `${path} on the same connection`);
  }
  agent.destroy();
});

test('a client that leaves while it waits is no error', async () => {
  await using daemon = await daemonWithImage();
  const id = await running(daemon, ['sleep', '600']);
  const socket = await raw(daemon, `POST /containers/${id}/wait?condition=removed`);
  socket.destroy();
  await daemon.api(`/containers/${id}?force=1`, { method: 'DELETE' });
  const log = await readFile(daemon.logFile, 'utf8');
  assert.doesNotMatch(log, /"level":"error"|"status":5\d\d/);
});
