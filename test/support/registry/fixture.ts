import assert from 'node:assert/strict';
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

/** That no pull has left anything half done. */
export async function nothingIsBegun({ daemon }: Pick<RegistryTest, 'daemon'>): Promise<void> {
  for (const folder of ['content/partial', 'content/ingest', 'pulls'])
    assert.deepEqual(await readdir(`${daemon.dataRoot}/${folder}`), [], folder);
  const trees = await readdir(`${daemon.dataRoot}/overlay2`).catch(() =>
    readdir(`${daemon.dataRoot}/vfs/dir`),
  );
  assert.deepEqual(
    trees.filter((name) => name.startsWith('.staged')),
    [],
  );
}
