import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../../support/command.ts';
import { startDaemon, type TestDaemon } from '../../support/daemon.ts';
import { dockerIsMissing } from '../../support/e2e.ts';
import { imageArchive } from '../../support/images.ts';
import { makeCertificate } from '../../support/registry/certificates.ts';
import { PASSWORDS, type RealRegistry, startRegistry } from '../../support/registry/real.ts';
import { OUTSIDE, RegistryGround } from '../../support/registry/standin.ts';

/* Our registry as people set it up, with TLS and passwords, and the docker CLI with the daemon before it. */

const GANTRY = join(import.meta.dirname, '../../../bin/gantry');
const HOST = 'registry.example:5000';

interface Given {
  readonly daemon: TestDaemon;
  readonly serve: (args?: readonly string[]) => Promise<RealRegistry>;
}

function ownTest(name: string, body: (given: Given) => Promise<void>): void {
  test(name, { timeout: 120_000 }, async (context) => {
    const reason = await dockerIsMissing();
    if (reason !== false) return context.skip(reason);
    const folder = await mkdtemp('/tmp/gantry-own-');
    try {
      const ground = await RegistryGround.make(folder);
      const tls = await makeCertificate(ground.authority, {
        name: 'own',
        hosts: ['registry.example', OUTSIDE],
      });
      await using daemon = await startDaemon({ etc: await ground.etcFor([HOST]) });
      const enter = ['nsenter', `--net=/run/netns/${daemon.network}`, '--'];
      const address = `${OUTSIDE}:5000`;
      const kept = { kind: 'gantry', address, enter, passwords: PASSWORDS, tls } as const;
      const data = join(folder, 'data');
      await body({ daemon, serve: (args = []) => startRegistry({ ...kept, args, data }) });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
}

async function fails(daemon: TestDaemon, args: readonly string[], text: string | RegExp): Promise<void> {
  const { exit, stderr } = await daemon.docker(args);
  assert.equal(exit, 1, `${args.join(' ')}: ${stderr}`);
  if (typeof text === 'string') assert.equal(stderr, text);
  else assert.match(stderr, text);
}

ownTest('docker at our registry: login, push, pull, lists, search, logout', async ({ daemon, serve }) => {
  await using _registry = await serve();
  await daemon.loadImage(await imageArchive('busybox'));
  const app = `${HOST}/team/sub/app`;
  await daemon.mustDocker(['tag', 'busybox', `${app}:v1`]);
  await fails(daemon, ['push', `${app}:v1`], /no basic auth credentials\n$/);
  const logIn = (password: string) =>
    daemon.docker(['login', '-u', 'u', '--password-stdin', HOST], { input: password });
  const wrong = await logIn('wrong');
  assert.equal(wrong.exit, 1);
  assert.equal(
    wrong.stderr,
    `Error response from daemon: login attempt to https://${HOST}/v2/ failed with status: 401 Unauthorized\n`,
  );
  assert.match((await logIn('secret')).stdout, /Login Succeeded/);
  const pushed = await daemon.mustDocker(['push', `${app}:v1`]);
  const [, digest = ''] = /v1: digest: (sha256:[0-9a-f]{64}) size: \d+/.exec(pushed) ?? [];
  await daemon.mustDocker(['tag', `${app}:v1`, `${app}:v2`]);
  await daemon.mustDocker(['tag', `${app}:v1`, `${HOST}/other/app:v1`]);
  assert.match(await daemon.mustDocker(['push', `${app}:v2`]), new RegExp(`v2: digest: ${digest}`));
  assert.match(await daemon.mustDocker(['push', `${HOST}/other/app:v1`]), /Mounted from team\/sub\/app/);
  const id = await daemon.mustDocker(['image', 'inspect', '--format', '{{.Id}}', 'busybox']);
  await daemon.mustDocker(['rmi', '--force', id]);
  await daemon.mustDocker(['pull', '--quiet', `${app}@${digest}`]);
  const gantry = (...args: string[]) =>
    run(GANTRY, args, { env: { ...daemon.clientEnv(), GANTRY_HOST: daemon.host } });
  const plan = await gantry('pull', '--plan', '--format', '{{.Digest}}', `${app}:v2`);
  assert.deepEqual([plan.stdout, plan.stderr], [`${digest}\n`, '']);
  const pulled = await gantry('pull', '--quiet', `${app}:v2`);
  assert.deepEqual([pulled.stdout, pulled.stderr], [`${app}:v2\n`, '']);
  await daemon.mustDocker(['pull', '--quiet', '--all-tags', app]);
  const tags = await daemon.mustDocker(['image', 'ls', '--format', '{{.Tag}}', app]);
  assert.deepEqual(tags.split('\n').toSorted(), ['v1', 'v2']);
  assert.equal(
    await daemon.mustDocker(['run', '--rm', '--network', 'none', `${app}:v2`, 'echo', 'here']),
    'here',
  );
  await fails(daemon, ['pull', `${app}:none`], /manifest for .+:none not found: manifest unknown/);
  const search = ['search', '--format', '{{.Name}}', `${HOST}/app`];
  assert.deepEqual((await daemon.mustDocker(search)).split('\n').toSorted(), ['other/app', 'team/sub/app']);
  await daemon.mustDocker(['logout', HOST]);
  await fails(daemon, ['pull', `${app}:v1`], /no basic auth credentials\n$/);
  assert.match((await gantry('pull', '--plan', `${app}:v1`)).stderr, /no basic auth credentials\n/);
});

ownTest('docker at our registry that takes nothing', async ({ daemon, serve }) => {
  await daemon.loadImage(await imageArchive('busybox'));
  await daemon.mustDocker(['tag', 'busybox', `${HOST}/app:v1`]);
  const auth = { input: 'secret' };
  {
    await using _open = await serve();
    await daemon.docker(['login', '-u', 'u', '--password-stdin', HOST], auth);
    await daemon.mustDocker(['push', `${HOST}/app:v1`]);
  }
  await using _closed = await serve(['--readonly']);
  await daemon.mustDocker(['pull', `${HOST}/app:v1`]);
  await daemon.mustDocker(['tag', 'busybox', `${HOST}/app:v2`]);
  await fails(daemon, ['push', `${HOST}/app:v2`], 'unsupported: the operation is unsupported\n');
});
