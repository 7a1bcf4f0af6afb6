import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { chmod, chown, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { request as requestTls } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as setTimeoutAsync } from 'node:timers/promises';
import { LIMITS } from '#base/limits.ts';
import {
  configContent,
  type Content,
  imageOf,
  randomContent,
} from '../../conformance/distribution/content.ts';
import { locationOf, type Registry, withQuery } from '../../conformance/distribution/http.ts';
import {
  forget,
  freePort,
  type OwnOptions,
  type RunningRegistry,
  scratch,
  startOwn,
} from '../../conformance/distribution/registries.ts';
import { listen, type Listener } from '../../../src/main/registry/listen.ts';
import { must, run, until } from '../../support/command.ts';

/** alice, "secret". */
const PASSWORDS = 'alice:$2y$05$6cPisUDLdZ2gVBlNRq7wRe/9JL9lKlMbYYRG.HrtgJhrr.UNK/zDC\n';
const basic = (password: string): Record<string, string> => ({
  authorization: `Basic ${Buffer.from(`alice:${password}`).toString('base64')}`,
});

async function own(t: TestContext, options: Partial<OwnOptions> = {}): Promise<RunningRegistry> {
  const directory = options.directory ?? scratch();
  const running = await startOwn({ ...options, directory });
  t.after(async () => {
    await running.kill('SIGKILL');
    forget(directory);
  });
  return running;
}

async function pushBlob(registry: Registry, repo: string, { digest, bytes }: Content): Promise<number> {
  const path = withQuery(`/v2/${repo}/blobs/uploads/`, { digest });
  return (await registry.ask('POST', path, { body: bytes })).status;
}

test('killed in the middle of uploads: what was acknowledged is there, nothing else is', async (t) => {
  const directory = scratch();
  const port = await freePort();
  let running = await own(t, { directory, port });
  const blobs = new Map<string, Content>();
  const tags = new Map<string, string>();
  for (let round = 0; round < 6; round++) {
    const { registry } = running;
    const push = async (): Promise<void> => {
      for (;;) {
        const [config, layer] = [configContent(), randomContent(200_000)];
        for (const blob of [config, layer]) {
          if ((await pushBlob(registry, 'a/b', blob)) !== 201) return;
          blobs.set(blob.digest, blob);
        }
        const manifest = imageOf(config, [layer]);
        const headers = { 'content-type': manifest.mediaType };
        const tag = `t${blobs.size}-${manifest.digest.slice(7, 15)}`;
        const put = await registry.ask('PUT', `/v2/a/b/manifests/${tag}`, { headers, body: manifest.bytes });
        if (put.status === 201) tags.set(tag, manifest.digest);
      }
    };
    const pushing = Promise.allSettled([push(), push(), push(), push()]);
    const before = tags.size;
    await until(() => (tags.size > before + 3 + round ? true : undefined), { what: 'pushes' });
    await running.kill('SIGKILL');
    await pushing;
    running = await own(t, { directory, port });
    for (const [digest, { bytes }] of blobs) {
      const answer = await running.registry.ask('GET', `/v2/a/b/blobs/${digest}`);
      assert.equal(answer.status, 200, digest);
      assert.ok(answer.body.equals(bytes));
    }
    for (const [tag, digest] of tags) {
      const answer = await running.registry.ask('GET', `/v2/a/b/manifests/${tag}`);
      assert.equal(answer.headers['docker-content-digest'], digest);
    }
  }
  const folder = join(directory, 'data/content/blobs/sha256');
  for (const name of await readdir(folder)) {
    const sum = await must('sha256sum', [join(folder, name)]);
    assert.equal(sum.slice(0, 64), name, 'a blob that is not whole');
  }
});

test('an upload goes on after a kill where its acknowledged bytes end', async (t) => {
  const directory = scratch();
  const port = await freePort();
  const first = await own(t, { directory, port });
  const blob = randomContent(100_000);
  const opened = await first.registry.ask('POST', '/v2/a/blobs/uploads/', { body: Buffer.alloc(0) });
  const part = { headers: { 'content-range': '0-59999' }, body: blob.bytes.subarray(0, 60_000) };
  const location = locationOf(await first.registry.ask('PATCH', locationOf(opened), part));
  await first.kill('SIGKILL');
  const { registry } = await own(t, { directory, port });
  assert.equal((await registry.ask('GET', `/v2/a/blobs/${blob.digest}`)).status, 404);
  assert.equal((await registry.ask('GET', location)).headers.range, '0-59999');
  const rest = { headers: { 'content-range': '60000-99999' }, body: blob.bytes.subarray(60_000) };
  assert.equal((await registry.ask('PUT', withQuery(location, { digest: blob.digest }), rest)).status, 201);
  const answer = await registry.ask('GET', `/v2/a/blobs/${blob.digest}`);
  assert.ok(answer.body.equals(blob.bytes));
});

test('a user who may not read the folder above the data runs one there', async (t) => {
  const directory = scratch();
  const nobody = 65_534;
  await chmod(directory, 0o711);
  await mkdir(join(directory, 'data'));
  await chown(join(directory, 'data'), nobody, nobody);
  const under = ['setpriv', `--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups'];
  const { registry } = await own(t, { directory, under });
  assert.equal(await pushBlob(registry, 'a', randomContent()), 201);
});

test('one registry per data directory', async (t) => {
  const { directory } = await own(t);
  await assert.rejects(startOwn({ directory }), /is in use by another gantry-registry/);
});

test('passwords, and another file of them on SIGHUP', async (t) => {
  const directory = scratch();
  const file = join(directory, 'htpasswd');
  await writeFile(file, PASSWORDS);
  const { registry, pid } = await own(t, { directory, args: ['--auth', file] });
  const status = async (headers: Record<string, string>): Promise<number> =>
    (await registry.ask('GET', '/v2/', { headers })).status;
  assert.equal(await status({}), 401);
  assert.equal(await status(basic('wrong')), 401);
  assert.equal(await status(basic('secret')), 200);
  await writeFile(file, '# nobody\n');
  process.kill(pid, 'SIGHUP');
  await until(async () => ((await status(basic('secret'))) === 401 ? true : undefined), {
    what: 'the new file',
  });
});

async function certificate(folder: string): Promise<{ cert: string; key: string }> {
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  await must('openssl', ['req', '-x509', ...kind, ...subject, '-keyout', key, '-out', cert]);
  return { cert, key };
}

test('TLS; who speaks plain HTTP there is told so, who says nothing or noise gets nothing', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'gt-tls-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const idleMs = 300;
  const handle = (_from: unknown, to: { end(text: string): void }): void => to.end('here');
  const listener = await listen({
    address: { host: '127.0.0.1', port: 0 },
    tls: await certificate(folder),
    handle,
    idleMs,
  });
  t.after(() => listener.close(100));
  const port = Number(listener.address.split(':')[1]);
  const status = await new Promise<number | undefined>((resolve, reject) => {
    const options = { host: '127.0.0.1', port, rejectUnauthorized: false, agent: false };
    requestTls(options, (answer) => resolve(answer.resume().statusCode))
      .on('error', reject)
      .end();
  });
  assert.equal(status, 200);
  const told = async (said: string | null): Promise<string> => {
    const socket = connect(port, '127.0.0.1').on('error', () => undefined);
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    const closed = new Promise((resolve) => socket.once('close', resolve));
    if (said !== null) socket.write(said);
    await closed;
    return Buffer.concat(chunks).toString();
  };
  const text = /^HTTP\/1\.0 400 Bad Request\r\n[^]+\r\nClient sent an HTTP request to an HTTPS server\.\n$/;
  assert.match(await told('GET /v2/ HTTP/1.1\r\nhost: x\r\n\r\n'), text);
  assert.match(await told(`PATCH /v2/ HTTP/1.1\r\n\r\n${'x'.repeat(200_000)}`), text);
  assert.equal(await told(null), '');
  assert.doesNotMatch(await told('SSH-2.0-x\r\n'), /HTTPS/);
});

test('who speaks no TLS at its port, or never ends the handshake, holds nothing up', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'gt-tls-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const tls = await certificate(folder);
  const address = { host: '127.0.0.1', port: 0 };
  const open = async (idleMs: number): Promise<{ listener: Listener; port: number }> => {
    const listener = await listen({ address, tls, handle: () => undefined, idleMs });
    return { listener, port: Number(listener.address.split(':')[1]) };
  };
  const spoken = async (port: number, first: Buffer | null): Promise<Socket> => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }).on('error', () => undefined);
    t.after(() => socket.destroy());
    await once(socket, 'connect');
    if (first !== null) socket.write(first);
    return socket.resume();
  };
  const plain = Buffer.from('GET / HTTP/1.1\r\n\r\n');
  const short = await open(300);
  t.after(() => short.listener.close(100));
  const socket = await spoken(short.port, plain);
  const closed = new Promise<true>((resolve) => socket.once('close', () => resolve(true)));
  const drops = setInterval(() => socket.write('x'), 50);
  const ended = await Promise.race([closed, setTimeoutAsync(5000, false)]);
  clearInterval(drops);
  assert.equal(ended, true, 'one that goes on sending is kept for ever');
  const { listener, port } = await open(60_000);
  await spoken(port, plain);
  await spoken(port, null);
  await spoken(port, Buffer.from('16030100050100000100', 'hex').subarray(0, 6));
  await setTimeoutAsync(200);
  const wait = listener.close(300).then(() => true);
  assert.equal(await Promise.race([wait, setTimeoutAsync(5000, false)]), true, 'it does not close');
});

test('silent connections end, and there is a bound on all of them', async (t) => {
  const idleMs = 300;
  const maxConnections = 3;
  const handle = (): void => undefined;
  const listener = await listen({
    address: { host: '127.0.0.1', port: 0 },
    tls: null,
    handle,
    idleMs,
    maxConnections,
  });
  t.after(() => listener.close(100));
  const port = Number(listener.address.split(':')[1]);
  const startedMs = performance.now();
  const sockets = Array.from({ length: maxConnections + 2 }, () =>
    connect(port, '127.0.0.1').on('error', () => undefined),
  );
  const ends = await Promise.all(
    sockets.map(async (socket) => {
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.resume().write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
      await closed;
      return performance.now() - startedMs;
    }),
  );
  assert.equal(ends.filter((ms) => ms < idleMs).length, 2);
});

test('a cache of another registry: fetched once, served when that one is gone', async (t) => {
  const upstream = await own(t);
  const [config, layer] = [configContent(), randomContent(3_000_000)];
  const manifest = imageOf(config, [layer]);
  for (const blob of [config, layer]) await pushBlob(upstream.registry, 'team/app', blob);
  const headers = { 'content-type': manifest.mediaType };
  await upstream.registry.ask('PUT', '/v2/team/app/manifests/v1', { headers, body: manifest.bytes });
  const { registry } = await own(t, { args: ['--proxy', `http://127.0.0.1:${upstream.registry.port}`] });
  const all = async (): Promise<void> => {
    const answer = await registry.ask('GET', '/v2/team/app/manifests/v1');
    assert.ok(answer.body.equals(manifest.bytes), answer.body.toString());
    for (const { digest, bytes } of [config, layer]) {
      const blob = await registry.ask('GET', `/v2/team/app/blobs/${digest}`);
      assert.ok(blob.body.equals(bytes));
    }
  };
  await Promise.all([all(), all(), all()]);
  assert.equal((await registry.ask('GET', '/v2/team/app/manifests/v2')).status, 404);
  assert.equal(await pushBlob(registry, 'team/app', randomContent()), 405);
  await upstream.kill('SIGKILL');
  await all();
});

test('collecting beside pushes takes nothing that a push was told is there', async (t) => {
  const { FileBlobs } = await import('../../../src/main/registry/file-blobs.ts');
  const { createRegistryServer } = await import('#registry/server.ts');
  const { openContentStore } = await import('#storage/open-content.ts');
  const { silentLog } = await import('#base/log.ts');
  const { Registry: Client } = await import('../../conformance/distribution/http.ts');
  const directory = scratch();
  const blobs = await FileBlobs.open(
    await openContentStore(join(directory, 'content')),
    join(directory, 'uploads'),
  );
  // Longer than a push takes between its question and its use of the answer, on a busy machine too.
  const blobGraceMs = 1500;
  const base = { access: null, isReadonly: false, upstream: null, log: silentLog };
  const server = await createRegistryServer({ ...base, blobs, directory, blobGraceMs });
  const listener = await listen({
    address: { host: '127.0.0.1', port: 0 },
    tls: null,
    handle: server.handle,
  });
  t.after(async () => {
    await listener.close(100);
    await server.close();
    forget(directory);
  });
  const registry = new Client(Number(listener.address.split(':')[1]));
  const shared = Array.from({ length: 4 }, () => randomContent(50_000));
  let isOver = false;
  const collecting = (async () => {
    while (!isOver) await server.collect();
  })();
  const push = async (n: number): Promise<void> => {
    for (let round = 0; round < 25; round++) {
      const config = configContent();
      const layer = shared[(n + round) % shared.length] as Content;
      for (const blob of [config, layer]) {
        const there = await registry.ask('HEAD', `/v2/r${n % 2}/blobs/${blob.digest}`);
        if (there.status !== 200) assert.equal(await pushBlob(registry, `r${n % 2}`, blob), 201);
      }
      const manifest = imageOf(config, [layer]);
      const path = `/v2/r${n % 2}/manifests/${manifest.digest}`;
      const headers = { 'content-type': manifest.mediaType };
      assert.equal((await registry.ask('PUT', path, { headers, body: manifest.bytes })).status, 201);
      const read = await registry.ask('GET', `/v2/r${n % 2}/blobs/${layer.digest}`);
      assert.equal(createHash('sha256').update(read.body).digest('hex'), layer.digest.slice(7));
      assert.equal((await registry.ask('DELETE', path)).status, 202);
    }
  };
  await Promise.all([push(0), push(1), push(2), push(3)]);
  isOver = true;
  await collecting;
  await until(
    async () => {
      await server.collect();
      return (await blobs.list()).length === 0 ? true : undefined;
    },
    { what: 'an empty store' },
  );
});

test('who begins with TLS where there is none is told, and tries without', async (t) => {
  const { registry } = await own(t);
  const socket = connect(registry.port, '127.0.0.1').on('error', () => undefined);
  const first = new Promise<string>((resolve) =>
    socket.once('data', (chunk: Buffer) => resolve(chunk.toString())),
  );
  socket.write(Buffer.from('16030100050100000100', 'hex'));
  assert.match(await first, /^HTTP\/1\.1 400 /);
  socket.destroy();
});

test('a full disk: told as such, nothing half there, and it goes on when there is room', async (t) => {
  const directory = scratch();
  await must('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', directory]);
  t.after(() => run('umount', ['-l', directory]));
  const { registry } = await own(t, { directory });
  const kept: Content[] = [];
  let status = 201;
  while (status === 201) {
    const blob = randomContent(400_000);
    status = await pushBlob(registry, 'a', blob);
    if (status === 201) kept.push(blob);
  }
  assert.equal(status, 507);
  for (const { digest, bytes } of kept)
    assert.ok((await registry.ask('GET', `/v2/a/blobs/${digest}`)).body.equals(bytes));
  assert.deepEqual(await readdir(join(directory, 'data/uploads')), []);
  const room = kept.pop();
  const path = join(directory, 'data/content/blobs/sha256', room?.digest.slice(7) ?? '');
  assert.equal((await registry.ask('DELETE', `/v2/a/blobs/${room?.digest}`)).status, 202);
  await rm(path);
  assert.equal(await pushBlob(registry, 'a', randomContent(300_000)), 201);
});

test('headers have a size, and a connection is kept so long', async (t) => {
  const { registry } = await own(t);
  const big = 'x'.repeat(LIMITS.registryHeaderBlockBytes);
  assert.equal((await registry.ask('GET', '/v2/', { headers: { 'x-big': big.slice(1000) } })).status, 200);
  assert.equal((await registry.ask('GET', '/v2/', { headers: { 'x-big': big } })).status, 400);
  const { headers } = await registry.ask('GET', '/v2/', { headers: { connection: 'keep-alive' } });
  assert.equal(headers['keep-alive'], `timeout=${LIMITS.registryKeepAliveMs / 1000}`);
});

test('hostile requests get an answer or lose their connection, and the registry lives', async (t) => {
  const { registry } = await own(t);
  const heads = [
    'GET /v2/../../etc/passwd HTTP/1.1',
    'GET /v2/%2e%2e/%2e%2e/etc/passwd/tags/list HTTP/1.1',
    'GET /v2/a/blobs/sha256:%00 HTTP/1.1',
    'GET /v2/%ff/tags/list HTTP/1.1',
    'PUT /v2/a/blobs/uploads/..%2f..%2fx?digest=sha256:00 HTTP/1.1',
    `GET /v2/${'a/'.repeat(20_000)}tags/list HTTP/1.1`,
    'POST /v2/a/blobs/uploads/?mount=../x&from=../../y HTTP/1.1\r\ncontent-length: 0',
    'POST /v2/a/blobs/uploads/?digest=sha256:zz HTTP/1.1\r\ncontent-length: 99999999999999999999',
    'PATCH /v2/a/blobs/uploads/01234567-89ab-4def-8123-456789abcdef HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 3',
    'DELETE /v2/a/manifests/__proto__ HTTP/1.1',
    'GET /v2/constructor/manifests/toString HTTP/1.1',
    'BREW /v2/ HTTP/1.1',
  ];
  for (const head of [...heads, ...Array.from({ length: 20 }, () => randomBytes(200).toString('latin1'))]) {
    const socket = connect(registry.port, '127.0.0.1').on('error', () => undefined);
    socket.write(`${head}\r\nhost: x\r\nconnection: close\r\n\r\n`);
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.end();
    await closed;
    const answer = Buffer.concat(chunks).toString();
    assert.match(answer, /^$|^HTTP\/1\.1 4\d\d /, `${head.slice(0, 60)}: ${answer.slice(0, 60)}`);
  }
  assert.equal((await registry.ask('GET', '/v2/')).status, 200);
});
