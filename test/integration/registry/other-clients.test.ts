import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { freePort } from '../../conformance/distribution/registries.ts';
import { type CommandResult, must, run } from '../../support/command.ts';
import { type Authority, makeAuthority, makeCertificate } from '../../support/registry/certificates.ts';
import { type BuiltStandinImage, HERE } from '../../support/registry/content.ts';
import { smallLayers } from '../../support/registry/fixture.ts';
import { writeLayout } from '../../support/registry/layout.ts';
import { PASSWORDS, type RealRegistry, startRegistry } from '../../support/registry/real.ts';

/* Our registry, with TLS and passwords, and the clients that are neither docker nor ours. */

const LIMIT_MS = 180_000;
const PLATFORMS = [
  HERE,
  { os: 'linux', architecture: 's390x' },
  { os: 'linux', architecture: 'arm', variant: 'v7' },
];

interface Ground {
  readonly folder: string;
  readonly registry: RealRegistry;
  readonly host: string;
  readonly multi: BuiltStandinImage;
  readonly zstd: BuiltStandinImage;
  readonly layout: string;
  /** A folder with the authority's certificate alone, as these clients want it. */
  readonly certs: string;
}

async function servedWithTls(authority: Authority): Promise<RealRegistry> {
  const { certificate, key } = await makeCertificate(authority, { name: 'server', hosts: ['127.0.0.1'] });
  const address = `127.0.0.1:${await freePort()}`;
  return startRegistry({
    kind: 'gantry',
    address,
    enter: ['env'],
    passwords: PASSWORDS,
    tls: { certificate, key },
  });
}

async function isThere(program: string): Promise<boolean> {
  return (await run('which', [program])).exit === 0;
}

async function ground(t: TestContext): Promise<Ground> {
  // podman makes a name of the path: no capitals.
  const folder = `/tmp/gantry-clients-${randomBytes(4).toString('hex')}`;
  await mkdir(folder);
  t.after(() => rm(folder, { recursive: true, force: true }));
  const authority = await makeAuthority(join(folder, 'authority'));
  const registry = await servedWithTls(authority);
  t.after(() => registry[Symbol.asyncDispose]());
  const certs = join(folder, 'certs');
  await mkdir(certs);
  for (const name of ['skopeo', 'podman']) await writeFile(join(folder, `${name}.json`), '{}');
  await copyFile(authority.certificate, join(certs, 'ca.crt'));
  const layout = join(folder, 'layout');
  await mkdir(layout);
  const [multi, zstd] = (await writeLayout(layout, [
    { repository: 'multi', tags: ['multi'], layers: smallLayers('m'), platforms: PLATFORMS },
    { repository: 'zstd', tags: ['zstd'], layers: smallLayers('z'), compression: 'zstd' },
  ])) as [BuiltStandinImage, BuiltStandinImage];
  return { folder, registry, host: registry.address, multi, zstd, layout, certs };
}

/** One of these programs, with a file of credentials of its own. */
class Client {
  readonly #ground: Ground;
  readonly #program: string;
  readonly #flags: readonly string[];

  constructor(of: Ground, program: string, flags: readonly string[] = []) {
    this.#ground = of;
    this.#program = program;
    this.#flags = flags;
  }

  get #env(): Record<string, string> {
    const { folder } = this.#ground;
    return {
      HOME: folder,
      REGISTRY_AUTH_FILE: join(folder, `${this.#program}.json`),
      XDG_RUNTIME_DIR: folder,
    };
  }

  run(args: readonly string[], input?: string): Promise<CommandResult> {
    const options = { env: this.#env, timeoutMs: 60_000, ...(input !== undefined && { input }) };
    return run(this.#program, [...this.#flags, ...args], options);
  }

  async must(args: readonly string[]): Promise<string> {
    return (await must(this.#program, [...this.#flags, ...args], { env: this.#env })).trim();
  }

  async refused(args: readonly string[], why: RegExp): Promise<void> {
    const { exit, stdout, stderr } = await this.run(args);
    assert.notEqual(exit, 0, `${args.join(' ')}: ${stdout}`);
    assert.match(stderr, why, args.join(' '));
  }

  logIn(password: string): Promise<CommandResult> {
    const { certs, host } = this.#ground;
    return this.run(['login', '--cert-dir', certs, '--username', 'u', '--password-stdin', host], password);
  }
}

const layersOf = (raw: string): { mediaType: string; digest: string }[] =>
  (JSON.parse(raw) as { layers: { mediaType: string; digest: string }[] }).layers;

async function copies(skopeo: Client, on: Ground): Promise<void> {
  const { host, layout, folder, multi, zstd, certs } = on;
  const out = ['copy', '--all', '--preserve-digests', '--dest-cert-dir', certs];
  const back = ['copy', '--all', '--preserve-digests', '--src-cert-dir', certs];
  const within = [...out, '--src-cert-dir', certs];
  const at = `docker://${host}`;
  await skopeo.must([...out, `oci:${layout}:multi`, `${at}/team/multi:v1`]);
  await skopeo.must([...out, `oci:${layout}:zstd`, `${at}/team/sub/zstd:v1`]);
  const raw = ['inspect', '--raw', '--cert-dir', certs];
  const index = await skopeo.must([...raw, `${at}/team/multi:v1`]);
  const platforms = (JSON.parse(index) as { manifests: { platform: unknown }[] }).manifests;
  assert.deepEqual(
    platforms.map(({ platform }) => platform),
    PLATFORMS,
  );
  for (const from of [`${at}/team/multi:v1`, `${at}/team/multi@${multi.digest}`]) {
    const to = join(folder, `back-${from.includes('@') ? 'digest' : 'tag'}`);
    await skopeo.must([...back, from, `oci:${to}:multi`]);
    const [named] = (
      JSON.parse(await readFile(join(to, 'index.json'), 'utf8')) as { manifests: { digest: string }[] }
    ).manifests;
    assert.equal(named?.digest, multi.digest, 'an index comes back byte for byte');
    for (const { digest } of multi.layers)
      await readFile(join(to, 'blobs/sha256', digest.slice('sha256:'.length)));
  }
  const packed = layersOf(await skopeo.must([...raw, `${at}/team/sub/zstd:v1`]));
  assert.deepEqual(
    packed.map(({ mediaType, digest }) => [mediaType, digest]),
    zstd.layers.map(({ digest }) => ['application/vnd.oci.image.layer.v1.tar+zstd', digest]),
  );
  await skopeo.must([...within, `${at}/team/multi:v1`, `${at}/other/multi:v2`]);
  await skopeo.must([...within, `${at}/team/multi:v1`, `${at}/team/multi:v2`]);
  const repacked = ['copy', '--format', 'oci', '--dest-compress-format', 'zstd', '--dest-cert-dir', certs];
  await skopeo.must([...repacked, `oci:${join(folder, 'back-tag')}:multi`, `${at}/team/repacked:v1`]);
  await skopeo.must(['inspect', '--cert-dir', certs, `${at}/team/repacked:v1`]);
}

test('skopeo: indexes, zstd, copies within, tags, removal, with TLS and passwords', {
  timeout: LIMIT_MS,
}, async (t) => {
  if (!(await isThere('skopeo'))) return t.skip('no skopeo');
  const on = await ground(t);
  const { host, certs, multi } = on;
  const skopeo = new Client(on, 'skopeo', ['--insecure-policy']);
  const at = `docker://${host}/team/multi`;
  const inspect = ['inspect', '--cert-dir', certs];
  await skopeo.refused(['inspect', `${at}:v1`], /x509: certificate signed by unknown authority/);
  await skopeo.refused([...inspect, `${at}:v1`], /authentication required|unauthorized/);
  const wrong = await skopeo.logIn('wrong');
  assert.deepEqual(
    [wrong.exit === 0, /invalid username\/password/.test(wrong.stderr)],
    [false, true],
    wrong.stderr,
  );
  assert.match((await skopeo.logIn('secret')).stdout, /Login Succeeded!/);
  await copies(skopeo, on);
  const tags = async (): Promise<unknown> =>
    (JSON.parse(await skopeo.must(['list-tags', '--cert-dir', certs, at])) as { Tags: unknown }).Tags;
  assert.deepEqual(await tags(), ['v1', 'v2']);
  await skopeo.refused([...inspect, `${at}:nope`], /manifest unknown/);
  await skopeo.must(['delete', '--cert-dir', certs, `${at}:v1`]);
  await skopeo.refused([...inspect, `${at}@${multi.digest}`], /manifest unknown/);
  await skopeo.must([...inspect, `docker://${host}/other/multi:v2`]);
  await skopeo.must(['logout', host]);
  await skopeo.refused(
    [...inspect, `docker://${host}/other/multi:v2`],
    /authentication required|unauthorized/,
  );
});

/** With storage of its own, which goes with the folder. */
function podmanOf(on: Ground): Client {
  const at = (name: string): string => join(on.folder, name);
  return new Client(on, 'podman', [
    ...['--root', at('storage'), '--runroot', at('run'), '--tmpdir', at('libpod'), '--storage-driver', 'vfs'],
    ...['--cgroup-manager', 'cgroupfs', '--events-backend', 'none'],
  ]);
}

test('podman: push and pull by tag and digest, lists, zstd, search, with TLS and passwords', {
  timeout: LIMIT_MS,
}, async (t) => {
  if (!(await isThere('podman'))) return t.skip('no podman');
  const on = await ground(t);
  const { host, certs, multi, layout } = on;
  const podman = podmanOf(on);
  const tls = ['--cert-dir', certs];
  const wrong = await podman.logIn('wrong');
  assert.notEqual(wrong.exit, 0);
  assert.match(wrong.stderr, /invalid username\/password/);
  await podman.must(['pull', `oci:${layout}:multi`]);
  const [id = ''] = (await podman.must(['images', '--quiet', '--no-trunc'])).split('\n');
  assert.equal(id, multi.id);
  const short = id.slice('sha256:'.length);
  await podman.refused(['push', ...tls, short, `${host}/pod/app:v1`], /authentication required|unauthorized/);
  assert.match((await podman.logIn('secret')).stdout, /Login Succeeded!/);
  await podman.must(['push', ...tls, short, `${host}/pod/app:v1`]);
  const digestFile = join(on.folder, 'digest');
  const zstd = ['--format', 'oci', '--compression-format', 'zstd', '--digestfile', digestFile];
  await podman.must(['push', ...tls, ...zstd, short, `${host}/pod/zstd:v1`]);
  await podman.must(['rmi', '--all', '--force']);
  assert.equal(await podman.must(['pull', '--quiet', ...tls, `${host}/pod/app:v1`]), short);
  await podman.must(['rmi', '--all', '--force']);
  const digest = await readFile(digestFile, 'utf8');
  assert.equal(await podman.must(['pull', '--quiet', ...tls, `${host}/pod/zstd@${digest}`]), short);
  await podman.must(['manifest', 'create', 'list']);
  await podman.must(['manifest', 'add', ...tls, 'list', `docker://${host}/pod/app:v1`]);
  await podman.must(['manifest', 'push', '--all', ...tls, 'list', `docker://${host}/pod/list:v1`]);
  await podman.must(['rmi', '--all', '--force']);
  assert.equal(await podman.must(['pull', '--quiet', ...tls, `${host}/pod/list:v1`]), short);
  const found = await podman.must(['search', '--tls-verify=false', '--format', '{{.Name}}', `${host}/pod`]);
  assert.deepEqual(
    found.split('\n').toSorted(),
    ['app', 'list', 'zstd'].map((name) => `${host}/pod/${name}`),
  );
  const tags = await podman.must(['search', '--tls-verify=false', '--list-tags', `${host}/pod/app`]);
  assert.match(tags, /^NAME +TAG\n127\.0\.0\.1:\d+\/pod\/app +v1$/);
  await podman.must(['logout', host]);
  await podman.must(['rmi', '--all', '--force']);
  await podman.refused(['pull', ...tls, `${host}/pod/app:v1`], /authentication required|unauthorized/);
});
