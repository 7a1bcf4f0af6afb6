import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { test } from 'node:test';
import type { TarEntry } from '../../../tools/set-up/tar.ts';
import { dockerIsMissing } from '../e2e.ts';
import { type DaemonOptions, startDaemon, type TestDaemon } from '../daemon.ts';
import { type Form, type FormName, formOf } from './forms.ts';
import type { LedgerEntry } from './plan.ts';
import { type Ledger, RegistryGround, type Standin, type StandinOptions, startStandin } from './standin.ts';

export interface RegistryTest {
  readonly daemon: TestDaemon;
  readonly standin: Standin;
  readonly ground: RegistryGround;
}

export interface RegistryTestOptions extends StandinOptions {
  readonly daemon?: DaemonOptions;
  readonly timeoutMs?: number;
  /** Why it cannot run here, in the words of test/reference/skips.json, or `false`. */
  readonly skip?: string | false;
}

/** A test of a daemon beside a stand-in registry that it trusts, with a leak check at its end. */
export function registryTest(
  name: string,
  options: RegistryTestOptions,
  body: (given: RegistryTest) => Promise<void>,
): void {
  test(name, { timeout: options.timeoutMs ?? 120_000 }, async (context) => {
    const reason = options.skip || (await dockerIsMissing());
    if (reason !== false) return context.skip(reason);
    const folder = await mkdtemp('/tmp/gantry-registry-');
    try {
      const ground = await RegistryGround.make(folder);
      const form = options.form === undefined ? null : formOf(options.form);
      const hosts = Object.keys(options.hosts ?? form?.hosts ?? {});
      const config = { ...form?.config, ...options.daemon?.config };
      const etc = { ...(await ground.etcFor(hosts)), ...options.daemon?.etc };
      await using daemon = await startDaemon({ ...options.daemon, etc, config });
      await using standin = await startStandin(daemon, ground, options);
      await body({ daemon, standin, ground });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
}

/** Layers that differ from one another, with the files of a small root below. */
export function smallLayers(seed: string): readonly (readonly TarEntry[])[] {
  return [
    [
      { path: 'etc/', type: 'directory' },
      { path: 'etc/seed', content: `${seed}\n` },
    ],
    [
      { path: 'data/', type: 'directory' },
      { path: 'data/blob', content: Buffer.alloc(300_000, seed) },
    ],
  ];
}

function secretsIn(entry: LedgerEntry): string {
  const { authorization, form } = entry;
  const basic = authorization.startsWith('Basic ')
    ? Buffer.from(authorization.slice(6), 'base64').toString()
    : '';
  return `${basic}\n${decodeURIComponent(form.replaceAll('+', ' '))}\n${entry.url}`;
}

/**
 * Credentials only where they belong: the user's secrets at the hosts that may see them, a token at the
 * registry that it was made for, and nothing at all in an address.
 */
export function assertCredentialsStay(
  ledger: Ledger,
  of: { readonly secrets: readonly string[]; readonly hosts: readonly string[] },
): void {
  const registryOf = new Map(ledger.tokens.map(({ token, registry }) => [token, registry]));
  for (const entry of ledger.entries) {
    const where = `${entry.method} ${entry.host}${entry.url}`;
    for (const secret of of.secrets) {
      assert.ok(!entry.url.includes(encodeURIComponent(secret)), `a secret is in the address: ${where}`);
      if (!secretsIn(entry).includes(secret)) continue;
      assert.ok(of.hosts.includes(entry.host), `the secret went to another host: ${where}`);
    }
    if (!entry.authorization.startsWith('Bearer ')) continue;
    const token = entry.authorization.slice('Bearer '.length);
    assert.equal(registryOf.get(token), entry.host, `a token went to another registry: ${where}`);
  }
}

export { formOf, type Form, type FormName };

/** The header of a request that carries credentials, as the CLI writes it. */
export function registryAuth(of: {
  readonly username?: string;
  readonly password?: string;
  readonly identitytoken?: string;
  readonly registrytoken?: string;
  readonly serveraddress?: string;
}): { 'x-registry-auth': string } {
  const text = Buffer.from(JSON.stringify(of)).toString('base64');
  return { 'x-registry-auth': text.replaceAll('+', '-').replaceAll('/', '_') };
}

export interface PullLine {
  readonly status?: string;
  readonly id?: string;
  readonly error?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
  readonly aux?: Readonly<Record<string, unknown>>;
}

export interface PullAnswer {
  readonly status: number;
  /** Of a plain answer, or of the stream's last line. */
  readonly error: string;
  readonly lines: readonly PullLine[];
  readonly tookMs: number;
}

function linesOf(body: Buffer): PullLine[] {
  return body
    .toString()
    .split('\r\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as PullLine);
}

async function streamed(
  daemon: TestDaemon,
  path: string,
  options: { readonly headers?: Readonly<Record<string, string>>; readonly timeoutMs?: number },
): Promise<PullAnswer> {
  const began = Date.now();
  const answer = await daemon.api(path, { method: 'POST', timeoutMs: 120_000, ...options });
  const tookMs = Date.now() - began;
  if (answer.status !== 200) {
    const { message } = answer.json as { message: string };
    return { status: answer.status, error: message, lines: [], tookMs };
  }
  const lines = linesOf(answer.body);
  return { status: 200, error: lines.at(-1)?.error ?? '', lines, tookMs };
}

export interface PullOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  readonly platform?: string;
}

/** `POST /images/create`; the tag may be a digest after `@`. */
export function pull(daemon: TestDaemon, reference: string, options: PullOptions = {}): Promise<PullAnswer> {
  const [, name = '', digest, named = ''] = /^(.+?)(?:@(sha256:.+)|:([^/:]+))?$/.exec(reference) ?? [];
  const tag = digest ?? named;
  const platform = options.platform === undefined ? '' : `&platform=${encodeURIComponent(options.platform)}`;
  const path = `/images/create?fromImage=${encodeURIComponent(name)}&tag=${encodeURIComponent(tag)}${platform}`;
  return streamed(daemon, path, options);
}

export function push(daemon: TestDaemon, reference: string, options: PullOptions = {}): Promise<PullAnswer> {
  const [, name = '', tag = ''] = /^(.+?)(?::([^/:]+))?$/.exec(reference) ?? [];
  return streamed(daemon, `/images/${name}/push?tag=${encodeURIComponent(tag)}`, {
    ...options,
    headers: { ...registryAuth({}), ...options.headers },
  });
}

export interface Stored {
  /** Digests in the content store. */
  readonly blobs: readonly string[];
  /** Finished trees of layers; those of containers are left out. */
  readonly trees: readonly string[];
  /** Pulls that have begun: digests of their manifests. */
  readonly pulls: readonly string[];
  /** Archives that are not whole: digests. */
  readonly partial: readonly string[];
  readonly staged: readonly string[];
}

/** What lies below the data root of what images are made of. */
export async function storedIn({ daemon }: Pick<RegistryTest, 'daemon'>): Promise<Stored> {
  const list = (folder: string): Promise<string[]> => readdir(`${daemon.dataRoot}/${folder}`);
  const digests = async (folder: string): Promise<string[]> =>
    (await list(folder)).map((name) => `sha256:${name.slice(0, 64)}`);
  const trees = await list('overlay2').catch(() => list('vfs/dir'));
  const containers = new Set(
    trees.filter((name) => name.endsWith('-init')).map((name) => name.slice(0, -'-init'.length)),
  );
  return {
    blobs: await digests('content/blobs/sha256'),
    trees: trees.filter((name) => /^[0-9a-f]{64}$/.test(name) && !containers.has(name)),
    pulls: await digests('pulls'),
    partial: await digests('content/partial'),
    staged: trees.filter((name) => name.startsWith('.staged')),
  };
}

/** Chains of layers that the daemon's images stand on. */
async function chainsOf(daemon: TestDaemon): Promise<ReadonlySet<string>> {
  const chains = new Set<string>();
  const { json } = await daemon.api('/images/json?all=1');
  for (const { Id } of json as readonly { readonly Id: string }[]) {
    const image = (await daemon.api(`/images/${Id}/json`)).json as { RootFS: { Layers?: string[] } };
    let chain = '';
    for (const diffId of image.RootFS.Layers ?? []) {
      const text = `${chain} ${diffId}`;
      chain = chain === '' ? diffId : `sha256:${createHash('sha256').update(text).digest('hex')}`;
      chains.add(chain);
    }
  }
  return chains;
}

/** That no pull has left anything half done, and no tree that no image stands on; without images, no blob. */
export async function nothingIsBegun(given: Pick<RegistryTest, 'daemon'>): Promise<void> {
  assert.deepEqual(await readdir(`${given.daemon.dataRoot}/content/ingest`), []);
  const { blobs, trees, ...begun } = await storedIn(given);
  assert.deepEqual(begun, { pulls: [], partial: [], staged: [] });
  const chains = await chainsOf(given.daemon);
  assert.equal(trees.length, chains.size, `${trees.length} trees for ${chains.size} layers of images`);
  if (chains.size === 0) assert.deepEqual(blobs, []);
}
