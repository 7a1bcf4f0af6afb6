/** Names that do not exist, and a name server that cannot say: what is told, and how soon. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { startDaemon } from '../../support/daemon.ts';
import { dockerIsMissing } from '../../support/e2e.ts';
import { imageArchive } from '../../support/images.ts';
import { nodeBeside } from '../../support/registry/beside.ts';
import { nothingIsBegun, pull, push } from '../../support/registry/fixture.ts';

const SERVER = '127.0.0.53';
const ETC = {
  'resolv.conf': `nameserver ${SERVER}\noptions timeout:2 attempts:1\n`,
  'nsswitch.conf': 'hosts: dns\n',
  hosts: '127.0.0.1 localhost\n',
};
/** Says NXDOMAIN, and SERVFAIL of names that begin with "broken". */
const DENYING = `
  const socket = require('node:dgram').createSocket('udp4');
  socket.on('message', (question, from) => {
    const isBroken = question.includes('broken');
    question[2] |= 0x80;
    question[3] = 0x80 | (isBroken ? 2 : 3);
    question.fill(0, 6, 12);
    const end = 12 + question.subarray(12).indexOf(0) + 5;
    socket.send(question.subarray(0, end), from.port, from.address);
  });
  socket.bind(53, '${SERVER}', () => process.send?.('ready'));
  process.on('disconnect', () => process.exit(0));
`;
const SOON_MS = 10_000;

test('names that do not exist: told as the reference tells it, soon, and once', {
  timeout: 90_000,
}, async (t) => {
  const missing = await dockerIsMissing();
  if (missing !== false) return t.skip(missing);
  await using daemon = await startDaemon({ etc: ETC });
  const server = nodeBeside(daemon, ['-e', DENYING]);
  t.after(() => server.kill('SIGKILL'));
  await once(server, 'message');
  const lookedUp = (host: string, why: string): string => `dial tcp: lookup ${host} on ${SERVER}:53: ${why}`;
  const none = `Get "https://none.example/v2/": ${lookedUp('none.example', 'no such host')}`;
  await daemon.loadImage(await imageArchive('busybox'));
  const pulled = await pull(daemon, 'none.example/team/app:v');
  assert.deepEqual([pulled.status, pulled.error], [500, none]);
  assert.ok(pulled.tookMs < SOON_MS, `${pulled.tookMs} ms`);
  const hub = await pull(daemon, 'nothing:v');
  const atHub = lookedUp('registry-1.docker.io', 'no such host');
  assert.deepEqual([hub.status, hub.error], [500, `Get "https://registry-1.docker.io/v2/": ${atHub}`]);
  const broken = await pull(daemon, 'broken.example/team/app:v');
  assert.equal(
    broken.error,
    `Get "https://broken.example/v2/": ${lookedUp('broken.example', 'server misbehaving')}`,
  );
  await daemon.mustDocker(['tag', 'busybox', 'none.example/team/app:v']);
  const pushed = await push(daemon, 'none.example/team/app:v');
  assert.equal(pushed.error, none);
  assert.ok(pushed.tookMs < SOON_MS, `${pushed.tookMs} ms`);
  const said = await daemon.docker(['login', '-u', 'me', '--password-stdin', 'none.example'], { input: 'x' });
  assert.deepEqual([said.exit, said.stderr], [1, `Error response from daemon: ${none}\n`]);
  const search = await daemon.api('/images/search?term=none.example/x');
  const { message } = search.json as { readonly message: string };
  const ping = `Get "https://none.example/v1/_ping": ${lookedUp('none.example', 'no such host')}`;
  assert.equal(search.status, 400);
  assert.ok(
    message.startsWith(`invalid registry endpoint https://none.example/v1/: ${ping}. If this`),
    message,
  );
  const run = await daemon.docker(['run', '--rm', 'none.example/team/other']);
  assert.equal(run.exit, 125);
  assert.ok(run.stderr.includes(none), run.stderr);
  await nothingIsBegun({ daemon });
});
