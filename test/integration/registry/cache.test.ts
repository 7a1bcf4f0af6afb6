/** `gantry-registry --proxy` as a process, in front of a stand-in that keeps a ledger. */
import assert from 'node:assert/strict';
import { readdir, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import {
  forget,
  freePort,
  type OwnOptions,
  type RunningRegistry,
  scratch,
  startOwn,
} from '../../conformance/distribution/registries.ts';
import { until } from '../../support/command.ts';
import { type BuiltStandinImage, ContentFolder } from '../../support/registry/content.ts';
import { assertCredentialsStay, smallLayers } from '../../support/registry/fixture.ts';
import type { Fault, LedgerEntry, User } from '../../support/registry/plan.ts';
import { StandinServer } from '../../support/registry/server.ts';

const SECRET = 'upstream-secret';
const USER: User = { name: 'cache', password: SECRET, pull: ['team/*'], push: [] };
const REPO = 'team/app';

interface Upstream {
  readonly standin: StandinServer;
  readonly content: ContentFolder;
  readonly image: BuiltStandinImage;
  /** Hosts of the registry, of its realm, and of the place where its blobs lie. */
  readonly hosts: readonly [string, string, string];
  close(): void;
}

async function listenTo(standin: () => StandinServer): Promise<{ server: Server; host: string }> {
  const server = createServer((request, response) => standin().handle(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, host: `127.0.0.1:${(server.address() as AddressInfo).port}` };
}

/** A registry that wants a token from a realm elsewhere, and sends readers of blobs to a third host. */
async function upstream(t: TestContext, faults: readonly Fault[] = []): Promise<Upstream> {
  const folder = scratch();
  const content = new ContentFolder(join(folder, 'content'));
  await content.save();
  const image = await content.add({ repository: REPO, tags: ['v'], layers: smallLayers('cache') });
  const made: StandinServer[] = [];
  const running = (): StandinServer => made[0] as StandinServer;
  const [registry, realm, blobs] = [
    await listenTo(running),
    await listenTo(running),
    await listenTo(running),
  ];
  const hosts = [registry.host, realm.host, blobs.host] as const;
  const standin = new StandinServer({
    listeners: [],
    folder: content.folder,
    faults,
    hosts: {
      [hosts[0]]: [
        {
          role: 'registry',
          location: 'relative',
          link: 'relative',
          blobsAt: `http://${hosts[2]}`,
          access: {
            ...{ kind: 'token', realm: `http://${hosts[1]}/token`, service: 'upstream' },
            ...{ users: [USER], anonymous: [], member: 'token' },
          },
        },
      ],
      [hosts[1]]: [{ role: 'token', of: hosts[0] }],
      [hosts[2]]: [{ role: 'blobs' }],
    },
  });
  made.push(standin);
  const close = (): void => {
    for (const { server } of [registry, realm, blobs]) {
      server.close();
      server.closeAllConnections();
    }
  };
  t.after(() => {
    close();
    forget(folder);
  });
  return { standin, content, image, hosts, close };
}

async function cacheOf(
  t: TestContext,
  of: Upstream,
  options: Partial<OwnOptions> & { readonly password?: string } = {},
): Promise<RunningRegistry> {
  const directory = options.directory ?? scratch();
  const auth = join(directory, 'upstream-auth');
  await writeFile(auth, `${USER.name}:${options.password ?? SECRET}\n`, { mode: 0o600 });
  const args = ['--proxy', `http://${of.hosts[0]}`, '--proxy-auth', auth, ...(options.args ?? [])];
  const running = await startOwn({ ...options, directory, args });
  t.after(async () => {
    await running.kill('SIGKILL');
    forget(directory);
  });
  return running;
}

async function pull({ registry }: RunningRegistry, tag = 'v'): Promise<string> {
  const manifest = await registry.ask('GET', `/v2/${REPO}/manifests/${tag}`);
  assert.equal(manifest.status, 200, manifest.body.toString());
  const { layers } = JSON.parse(manifest.body.toString()) as { layers: { digest: string; size: number }[] };
  for (const { digest, size } of layers) {
    const blob = await registry.ask('GET', `/v2/${REPO}/blobs/${digest}`);
    assert.equal(blob.status, 200, blob.body.toString());
    assert.equal(blob.body.length, size);
  }
  return String(manifest.headers['docker-content-digest']);
}

const isBlob = ({ method, url }: LedgerEntry): boolean => method === 'GET' && url.includes('/blobs/');

test('a cache logs in upstream by a token; its password is seen by the realm alone', async (t) => {
  const up = await upstream(t);
  const cache = await cacheOf(t, up);
  assert.equal(await pull(cache), up.image.digest);
  await pull(cache);
  const ledger = { entries: up.standin.ledger, tokens: up.standin.gate.issued() };
  assertCredentialsStay(ledger, { secrets: [SECRET], hosts: [up.hosts[1]] });
  const of = (host: string): LedgerEntry[] => up.standin.ledger.filter((entry) => entry.host === host);
  assert.ok(of(up.hosts[1]).some(({ authorization }) => authorization.startsWith('Basic ')));
  assert.equal(of(up.hosts[2]).length, 2, 'each layer is fetched once, from where the registry says');
  assert.ok(of(up.hosts[2]).every(({ authorization }) => authorization === ''));
});

test('a wrong password is no open door, and the right one is read on SIGHUP', async (t) => {
  const up = await upstream(t);
  const directory = scratch();
  const cache = await cacheOf(t, up, { directory, password: 'wrong' });
  const status = async (): Promise<number> =>
    (await cache.registry.ask('GET', `/v2/${REPO}/manifests/v`)).status;
  assert.equal(await status(), 502);
  await writeFile(join(directory, 'upstream-auth'), `${USER.name}:${SECRET}\n`);
  process.kill(cache.pid, 'SIGHUP');
  await until(async () => ((await status()) === 200 ? true : undefined), { what: 'the right password' });
});

test('a file of credentials that others may read is refused, and so is one without --proxy', async () => {
  const directory = scratch();
  const auth = join(directory, 'auth');
  await writeFile(auth, `u:${SECRET}\n`, { mode: 0o644 });
  const start = (args: readonly string[]): Promise<unknown> => startOwn({ directory, args });
  await assert.rejects(start(['--proxy', 'docker.io', '--proxy-auth', auth]), /others may read it/);
  await assert.rejects(start(['--proxy-auth', auth]), /--proxy-auth goes with --proxy/);
  await assert.rejects(start(['--proxy', 'docker.io', '--cache-size', '0']), /not a size such as 50g/);
  forget(directory);
});

test('the upstream is down: what came through is served, at once, and nothing else is', async (t) => {
  const up = await upstream(t);
  const cache = await cacheOf(t, up);
  await pull(cache);
  up.close();
  const began = performance.now();
  assert.equal(await pull(cache), up.image.digest);
  assert.ok(performance.now() - began < 8000, 'it does not wait for the dead');
  const other = await cache.registry.ask('GET', `/v2/${REPO}/manifests/${`sha256:${'a'.repeat(64)}`}`);
  assert.equal(other.status, 502);
});

test('killed in the middle of a fill: nothing half there, and the next pull is whole', async (t) => {
  const up = await upstream(t, [
    { path: '/blobs/', method: 'GET', times: 1, act: { kind: 'stall-after', bytes: 50 } },
  ]);
  const [directory, port] = [scratch(), await freePort()];
  const first = await cacheOf(t, up, { directory, port });
  const pulling = pull(first).catch((error: unknown) => error);
  await until(() => (up.standin.ledger.some(isBlob) ? true : undefined), { what: 'a fill' });
  const uploads = join(directory, 'data/uploads');
  await until(async () => ((await readdir(uploads)).length > 0 ? true : undefined), { what: 'its file' });
  await first.kill('SIGKILL');
  assert.ok((await pulling) instanceof Error);
  assert.equal((await readdir(uploads)).length, 1);
  const second = await cacheOf(t, up, { directory, port });
  assert.deepEqual(await readdir(uploads), [], 'what was begun is removed');
  assert.equal(await pull(second), up.image.digest);
});

test('a tag that moved upstream is new here ten seconds later', async (t) => {
  const up = await upstream(t);
  const cache = await cacheOf(t, up);
  const before = await pull(cache);
  const next = await up.content.add({ repository: REPO, tags: ['v'], layers: smallLayers('later') });
  up.standin.reload();
  assert.equal(await pull(cache), before);
  const found = await until(
    async () => {
      const { headers } = await cache.registry.ask('HEAD', `/v2/${REPO}/manifests/v`);
      return headers['docker-content-digest'] === next.digest ? next.digest : undefined;
    },
    { what: 'the new tag' },
  );
  assert.equal(await pull(cache), found);
});

test('what points at an image is asked for upstream, and listed from here when that is gone', async (t) => {
  const up = await upstream(t);
  const subject = {
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    digest: up.image.digest,
    size: 7,
  };
  const signature = await up.content.add({
    ...{ repository: REPO, tags: ['signature'], layers: smallLayers('signature') },
    ...{ documents: 'oci' as const, manifestFields: { subject } },
  });
  up.standin.reload();
  const cache = await cacheOf(t, up);
  const listed = async (): Promise<readonly string[]> => {
    const { body } = await cache.registry.ask('GET', `/v2/${REPO}/referrers/${up.image.digest}`);
    const { manifests } = JSON.parse(body.toString()) as { manifests: { digest: string }[] };
    return manifests.map(({ digest }) => digest);
  };
  assert.deepEqual(await listed(), [signature.digest]);
  const manifest = await cache.registry.ask('GET', `/v2/${REPO}/manifests/${signature.digest}`);
  assert.equal(manifest.status, 200);
  up.close();
  assert.deepEqual(await listed(), [signature.digest]);
});
