import type { TestContext } from 'node:test';
import { systemClock } from '#base/clock.ts';
import { silentLog } from '#base/log.ts';
import type { Digest } from '#oci/digest.ts';
import type { RegistryClient, Repository } from '#registry/client.ts';
import type { Credentials } from '#registry/credentials.ts';
import type { RegistrySettings } from '#registry/endpoints.ts';
import { createRegistryClient, type ClientOptions } from '#registry/open.ts';
import { refuse, SmallRegistry, type Manner } from './small-registry.ts';

const SETTINGS: RegistrySettings = {
  ...{ mirrors: [], insecure: [], certsDirs: [] },
  ...{ proxy: { http: '', https: '', no: '' }, maxDownloads: 3, maxUploads: 5, tries: 4 },
};
const QUICK = {
  backoffMs: 1,
  silenceMs: 100,
  connectMs: 400,
  firstByteMs: 400,
  idleMs: 300,
  documentMs: 800,
};
export const NEVER = new AbortController().signal;

type Options = Partial<RegistrySettings> & { timings?: ClientOptions['timings'] };

export function client(t: TestContext, { timings, ...settings }: Options = {}): RegistryClient {
  const made = createRegistryClient({
    settings: () => ({ ...SETTINGS, ...settings }),
    userAgent: 'gantry/test',
    log: silentLog,
    clock: systemClock,
    timings: { ...QUICK, ...timings },
  });
  t.after(() => made.close());
  return made;
}

export async function registry(t: TestContext, ...manners: Manner[]): Promise<SmallRegistry> {
  const started = await SmallRegistry.start(...manners);
  t.after(() => started[Symbol.asyncDispose]());
  return started;
}

export function someone(serverAddress = '', more: Partial<Credentials> = {}): Credentials {
  const nothing = { identityToken: '', registryToken: '' };
  return { username: 'someone', password: 'secret', serverAddress, ...nothing, ...more };
}

interface Use extends Options {
  readonly credentials?: Credentials | null;
  readonly actions?: 'pull' | 'pull,push';
}

export function repository(t: TestContext, domain: string, use: Use = {}): Repository {
  const { credentials = null, actions = 'pull', ...options } = use;
  return client(t, options).repository({ domain, path: 'team/app' }, { actions, credentials });
}

export async function all(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts);
}

export async function collect(items: AsyncIterable<string>): Promise<string[]> {
  const found: string[] = [];
  for await (const item of items) found.push(item);
  return found;
}

export function blobName(added: { digest: string; sizeBytes: number }): {
  digest: Digest;
  sizeBytes: number;
} {
  return { digest: added.digest as Digest, sizeBytes: added.sizeBytes };
}

export const silent: Manner = () => true;

/** Wants the name and password of `someone`. */
export const basic: Manner = ({ request, response }) => {
  const good = `Basic ${Buffer.from('someone:secret').toString('base64')}`;
  if (request.headers.authorization === good) return false;
  return refuse(response, 401, { code: 'UNAUTHORIZED', headers: { 'www-authenticate': 'Basic realm="x"' } });
};
