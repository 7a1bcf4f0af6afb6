import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmod, chown, mkdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { call } from '../../support/api.ts';
import { must, PLAIN_ENV, until, type CommandResult } from '../../support/command.ts';
import { startDaemon, type TestDaemon } from '../../support/daemon.ts';

/** curl in the daemon's network namespace; prints the body, then the status on a line of its own. */
function curl(daemon: TestDaemon, args: readonly string[]): Promise<CommandResult> {
  return daemon.inNetwork(['curl', '-sS', '-m', '10', '-w', '\n%{http_code}', ...args]);
}

test('several -H at once, each answers; the unix socket is for its owner and group only', async () => {
  const second = `/tmp/gt-second-${process.pid}.sock`;
  await using daemon = await startDaemon({
    args: [
      '-H',
      'tcp://127.0.0.1:2475',
      '-H',
      `unix://${second}`,
      '-H',
      'tcp://[::1]:2476',
      '--group',
      '4321',
    ],
  });
  assert.equal((await call(second, { path: '/_ping' })).status, 200);
  assert.match((await curl(daemon, ['http://127.0.0.1:2475/_ping'])).stdout, /^OK\n200$/);
  assert.match((await curl(daemon, ['-g', 'http://[::1]:2476/_ping'])).stdout, /^OK\n200$/);
  for (const path of [daemon.socket, second]) {
    const facts = await stat(path);
    assert.equal(facts.mode & 0o777, 0o660, path);
    assert.equal(facts.uid, 0);
    assert.equal(facts.gid, 4321);
  }
  await daemon.kill('SIGTERM');
  await assert.rejects(stat(second), /ENOENT/);
  await assert.rejects(stat(daemon.socket), /ENOENT/);
  await daemon.start();
});

test('plain TCP refuses web pages and foreign host names', async () => {
  await using daemon = await startDaemon({ args: ['-H', 'tcp://127.0.0.1:2475'] });
  const url = 'http://127.0.0.1:2475/v1.51/version';
  assert.match((await curl(daemon, [url])).stdout, /"ApiVersion".*\n200$/s);
  assert.match((await curl(daemon, ['-H', 'Host: localhost:2475', url])).stdout, /\n200$/);
  const page = await curl(daemon, ['-H', 'Origin: http://evil.example', url]);
  assert.match(page.stdout, /requests from web pages are refused.*\n403$/s);
  const rebound = await curl(daemon, ['-H', 'Host: evil.example', url]);
  assert.match(rebound.stdout, /the host name \\"evil.example\\" is refused.*\n403$/s);
  assert.match(await daemon.log(), /without --tlsverify gives root on this host/);
});

/** A CA, a server certificate for 127.0.0.1, a client's, and one of a client whom another CA knows. */
async function certificates(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const openssl = (...args: string[]): Promise<string> => must('openssl', args, { cwd: folder });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  for (const ca of ['ca', 'other-ca'])
    await openssl(
      'req',
      '-x509',
      ...key,
      '-keyout',
      `${ca}-key.pem`,
      '-out',
      `${ca}.pem`,
      '-subj',
      `/CN=${ca}`,
    );
  for (const [name, ca] of [
    ['server', 'ca'],
    ['client', 'ca'],
    ['stranger', 'other-ca'],
  ] as const) {
    await openssl('req', ...key, '-keyout', `${name}-key.pem`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
    await writeFile(join(folder, 'ext'), 'subjectAltName=IP:127.0.0.1\n');
    const signer = ['-CA', `${ca}.pem`, '-CAkey', `${ca}-key.pem`, '-CAcreateserial', '-extfile', 'ext'];
    await openssl('x509', '-req', '-in', `${name}.csr`, ...signer, '-out', `${name}.pem`);
  }
}

test('TLS: --tlsverify takes certificates of its CA only, --tls takes everybody', async () => {
  const folder = `/tmp/gt-tls-${process.pid}`;
  await certificates(folder);
  try {
    const own = ['--tlscert', `${folder}/server.pem`, '--tlskey', `${folder}/server-key.pem`];
    const from = (name: string): string[] => [
      '--cert',
      `${folder}/${name}.pem`,
      '--key',
      `${folder}/${name}-key.pem`,
    ];
    const url = ['--cacert', `${folder}/ca.pem`, 'https://127.0.0.1:2476/_ping'];
    {
      const verify = ['--tlsverify', '--tlscacert', `${folder}/ca.pem`];
      await using daemon = await startDaemon({ args: ['-H', 'tcp://127.0.0.1:2476', ...verify, ...own] });
      assert.match((await curl(daemon, [...from('client'), ...url])).stdout, /^OK\n200$/);
      assert.notEqual((await curl(daemon, url)).exit, 0, 'no certificate');
      assert.notEqual(
        (await curl(daemon, [...from('stranger'), ...url])).exit,
        0,
        "a stranger's certificate",
      );
      assert.equal((await curl(daemon, ['http://127.0.0.1:2476/_ping'])).stdout.includes('OK'), false);
      assert.doesNotMatch(await daemon.log(), /without --tlsverify|uncaught/);
      const docker = await daemon.inNetwork([
        ...['docker', '-H', 'tcp://127.0.0.1:2476', '--tlsverify', '--tlscacert', `${folder}/ca.pem`],
        ...['--tlscert', `${folder}/client.pem`, '--tlskey', `${folder}/client-key.pem`],
        ...['version', '--format', '{{.Server.Os}}'],
      ]);
      assert.equal(docker.stdout.trim(), 'linux', docker.stderr);
    }
    await using daemon = await startDaemon({ args: ['-H', 'tcp://127.0.0.1:2476', '--tls', ...own] });
    assert.match((await curl(daemon, url)).stdout, /^OK\n200$/);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('a certificate that is not there ends the start with its path', async () => {
  const args = ['-H', 'tcp://127.0.0.1:2476', '--tls', '--tlscert', '/nosuch.pem', '--tlskey', '/nosuch.pem'];
  await assert.rejects(startDaemon({ args }), /invalid TLS configuration.*open \/nosuch.pem/s);
});

test('fd:// serves on the socket that a service manager opened', { timeout: 60_000 }, async () => {
  await using daemon = await startDaemon();
  await daemon.kill('SIGTERM');
  const path = `${daemon.root}/activated.sock`;
  const listener = createServer();
  await new Promise<void>((resolve) => listener.listen(`${path}.bound`, resolve));
  // Descriptor 3 is the socket, LISTEN_PID the process that becomes the daemon: the shell sets its own.
  const script = 'export LISTEN_PID=$$ LISTEN_FDS=1; exec "$0" "$@"';
  const handle = listener as unknown as { readonly _handle: { readonly fd: number } };
  const args = daemon.arguments().map((arg) => (arg === daemon.host ? 'fd://' : arg));
  const executable = join(import.meta.dirname, '../../../bin/gantryd');
  const child = spawn(
    'nsenter',
    [`--net=/run/netns/${daemon.name}`, '--', 'sh', '-c', script, executable, ...args],
    { env: PLAIN_ENV, stdio: ['ignore', 'ignore', 'pipe', handle._handle.fd] },
  );
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  let log = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    log += chunk.toString();
  });
  try {
    await until(() => (/API listen on.*fd:\/\/3/.test(log) ? true : undefined), { what: `fd:// (${log})` });
    // Closing removes the file by the name it was bound to: the daemon's copy lives on under another one.
    await rename(`${path}.bound`, path);
    await new Promise((resolve) => listener.close(resolve));
    assert.equal((await call(path, { path: '/_ping', timeoutMs: 5000 })).body.toString(), 'OK');
  } finally {
    child.kill('SIGTERM');
    assert.equal(await ended, 0, log);
  }
});

test('fd:// without sockets, no such group, a foreign file or a link in the way: the start says so', async () => {
  await assert.rejects(
    startDaemon({ args: ['-H', 'fd://'] }),
    /no sockets found: fd:\/\/ needs socket activation/,
  );
  await assert.rejects(startDaemon({ args: ['--group', 'nosuchgroup'] }), /group nosuchgroup not found/);
  const folder = `/tmp/gt-way-${process.pid}`;
  await mkdir(folder);
  try {
    await writeFile(`${folder}/file`, 'precious');
    await chmod(`${folder}/file`, 0o600);
    await chown(`${folder}/file`, 0, 0);
    await symlink('file', `${folder}/link`);
    for (const name of ['file', 'link']) {
      const args = ['-H', `unix://${folder}/${name}`];
      await assert.rejects(startDaemon({ args }), /a file that is no socket is there/, name);
    }
    assert.equal((await stat(`${folder}/file`)).size, 8);
  } finally {
    await rm(folder, { recursive: true });
  }
});
