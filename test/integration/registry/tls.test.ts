import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createPlainServer, type Server as PlainServer } from 'node:http';
import { createServer, type Server } from 'node:https';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { makeAuthority, makeCertificate, type Authority } from '../../support/registry/certificates.ts';
import { client, NEVER } from './client-fixture.ts';

interface Ground {
  readonly folder: string;
  readonly authority: Authority;
}

async function ground(t: TestContext): Promise<Ground> {
  const folder = mkdtempSync(join(tmpdir(), 'registry-tls-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return { folder, authority: await makeAuthority(join(folder, 'authority')) };
}

interface Manner {
  readonly hosts: readonly string[];
  readonly isExpired?: boolean;
  readonly wantsCertificate?: boolean;
}

/** Answers every request; gives its port. */
async function serve(t: TestContext, { authority }: Ground, manner: Manner): Promise<number> {
  const { hosts, isExpired = false, wantsCertificate = false } = manner;
  const made = await makeCertificate(authority, { name: `server-${hosts.join('-')}`, hosts, isExpired });
  const server: Server = createServer(
    {
      cert: readFileSync(made.certificate),
      key: readFileSync(made.key),
      ...(wantsCertificate && { requestCert: true, ca: readFileSync(authority.certificate) }),
    },
    (request, response) => response.end(`${request.headers.host} ${request.headers.authorization ?? ''}`),
  );
  return await listen(t, server);
}

async function listen(t: TestContext, server: Server | PlainServer): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** `certs.d` with a folder for this host. */
function certsFor(of: Ground, host: string, files: Readonly<Record<string, string>>): string {
  const root = join(of.folder, 'certs.d');
  mkdirSync(join(root, host), { recursive: true });
  for (const [name, path] of Object.entries(files)) copyFileSync(path, join(root, host, name));
  return root;
}

async function get(from: ReturnType<typeof client>, url: string): Promise<string> {
  const parts: Buffer[] = [];
  for await (const chunk of (await from.fetchUrl(url, NEVER)).chunks) parts.push(chunk);
  return Buffer.concat(parts).toString();
}

test('an authority that nobody knows is refused, one of certs.d is taken', async (t) => {
  const of = await ground(t);
  const host = `127.0.0.1:${await serve(t, of, { hosts: ['127.0.0.1'] })}`;
  const url = `https://${host}/`;
  await assert.rejects(get(client(t), url), {
    message: `Get "${url}": tls: failed to verify certificate: x509: certificate signed by unknown authority`,
  });
  const certsDirs = [certsFor(of, host, { 'ca.crt': of.authority.certificate })];
  assert.equal(await get(client(t, { certsDirs }), url), `${host} `);
});

test('a certificate for others, and one whose time is over', async (t) => {
  const of = await ground(t);
  const trusting = async (manner: Manner): Promise<() => Promise<string>> => {
    const host = `127.0.0.1:${await serve(t, of, manner)}`;
    const certsDirs = [certsFor(of, host, { 'ca.crt': of.authority.certificate })];
    return () => get(client(t, { certsDirs }), `https://${host}/`);
  };
  const named = await trusting({ hosts: ['other.example'] });
  await assert.rejects(named, /x509: cannot validate certificate for 127\.0\.0\.1 because it doesn't/);
  const old = await trusting({ hosts: ['127.0.0.1'], isExpired: true });
  const moment = /has expired or is not yet valid: current time \S+Z is after 2021-01-01T00:00:00Z$/;
  await assert.rejects(old, moment);
});

test('a client certificate of certs.d is shown where one is wanted', async (t) => {
  const of = await ground(t);
  const host = `127.0.0.1:${await serve(t, of, { hosts: ['127.0.0.1'], wantsCertificate: true })}`;
  const own = await makeCertificate(of.authority, { name: 'client', hosts: ['client.example'] });
  const ca = { 'ca.crt': of.authority.certificate };
  const without = client(t, { certsDirs: [certsFor(of, host, ca)] });
  await assert.rejects(get(without, `https://${host}/`), /remote error: tls: certificate required/);
  const both = { ...ca, 'client.cert': own.certificate, 'client.key': own.key };
  const certsDirs = [certsFor(of, host, both)];
  assert.equal(await get(client(t, { certsDirs }), `https://${host}/`), `${host} `);
});

test('a server without TLS where TLS is spoken', async (t) => {
  const plain = createPlainServer((_request, response) => response.end('x'));
  const url = `https://127.0.0.1:${await listen(t, plain)}/`;
  await assert.rejects(get(client(t), url), {
    message: `Get "${url}": http: server gave HTTP response to HTTPS client`,
    hint: 'If this registry has no TLS, name it in insecure-registries.',
  });
});

test('a tunnel through a proxy ends at the registry: its certificate is checked', async (t) => {
  const of = await ground(t);
  const port = await serve(t, of, { hosts: ['r.example'] });
  const asked: string[] = [];
  const proxy = createPlainServer();
  proxy.on('connect', (request, socket) => {
    asked.push(`${request.url} ${request.headers['proxy-authorization'] ?? ''}`);
    const onward = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      socket.pipe(onward).pipe(socket);
    });
    for (const end of [socket, onward]) end.on('error', () => onward.destroy());
  });
  const https = `http://user:pass@127.0.0.1:${await listen(t, proxy)}`;
  const settings = { proxy: { http: '', https, no: '' } };
  await assert.rejects(get(client(t, settings), 'https://r.example/x'), /signed by unknown authority/);
  const certsDirs = [certsFor(of, 'r.example', { 'ca.crt': of.authority.certificate })];
  assert.equal(await get(client(t, { ...settings, certsDirs }), 'https://r.example/x'), 'r.example ');
  assert.equal(asked.at(-1), `r.example:443 Basic ${Buffer.from('user:pass').toString('base64')}`);
});
