import assert from 'node:assert/strict';
import type { BuiltStandinImage } from '../../support/registry/content.ts';
import {
  nothingIsBegun,
  pull,
  push,
  registryAuth,
  registryTest,
  smallLayers,
} from '../../support/registry/fixture.ts';
import type { Fault, LedgerEntry, RegistryRole } from '../../support/registry/plan.ts';

/*
 * Registries that say 401 whatever they are given, to good credentials and to tokens that their own realm has
 * made a moment ago: each request is sent again a few times at most, and the realm is not asked for ever.
 */

const REALM = '127.0.0.1:5009';
const me = { name: 'me', password: 'my-secret', pull: ['*'], push: ['*'] };
const role = { role: 'registry', location: 'relative', link: 'relative' } as const;
const SERVERS: Readonly<Record<string, RegistryRole>> = {
  '127.0.0.1:5001': { ...role, access: { kind: 'basic', realm: 'Basic realm="me"', users: [me] } },
  '127.0.0.1:5002': {
    ...role,
    access: {
      ...{ kind: 'token', realm: `http://${REALM}/token`, service: 'me', member: 'token' },
      ...{ users: [me], anonymous: [] },
    },
  },
};
const HOSTS = { ...Object.fromEntries(Object.entries(SERVERS).map(([host, one]) => [host, [one]])) };

interface Loop {
  readonly name: string;
  readonly path: string;
  /** Without it all of them. */
  readonly method?: string;
  readonly verb: typeof pull | typeof push;
}

/** Where a registry refuses, and what is asked for. */
function loopsFor({ id, layers }: BuiltStandinImage): readonly Loop[] {
  return [
    { name: 'manifest', path: '/manifests/', verb: pull },
    { name: 'config', path: `/blobs/${id}`, method: 'GET', verb: pull },
    { name: 'layer', path: `/blobs/${layers[0]?.digest}`, method: 'GET', verb: pull },
    { name: 'upload', path: '/blobs/uploads/', method: 'POST', verb: push },
    { name: 'bytes', path: '/blobs/uploads/.', method: 'PUT', verb: push },
    { name: 'manifest-of-push', path: '/manifests/', method: 'PUT', verb: push },
  ];
}

/** Times that one request is sent: a token is made anew twice, credentials are what they are. */
const SENDS = { basic: 2, token: 3, none: 1 } as const;
/** Of the image below: two layers and a configuration. */
const BLOBS = 3;

/** The registry's own words, for ever. */
function loopAt(host: string, { path, ...rest }: Loop): Fault {
  const isBasic = SERVERS[host]?.access.kind === 'basic';
  const bearer = `Bearer realm="http://${REALM}/token",service="me",scope="repository:team/app:pull,push"`;
  const challenge = isBasic ? 'Basic realm="me"' : `${bearer},error="invalid_token"`;
  const headers = { 'www-authenticate': challenge, 'content-type': 'application/json' };
  const body = JSON.stringify({ errors: [{ code: 'UNAUTHORIZED', message: 'authentication required' }] });
  const method = rest.method === undefined ? {} : { method: rest.method };
  return { host, path, ...method, act: { kind: 'status', status: 401, headers, body } };
}

function isBounded(
  entries: readonly LedgerEntry[],
  of: { readonly host: string; readonly told: string },
): void {
  const kind = SERVERS[of.host]?.access.kind ?? 'none';
  const refused = entries.filter(({ host, fault }) => host === of.host && fault === 'status');
  assert.ok(refused.length > 0, `${of.told}: nothing was refused`);
  const byRequest = new Map<string, number>();
  for (const { method, url } of refused) {
    const request = `${method} ${url.replace(/uploads\/[^?].*$/, 'uploads/ID')}`;
    byRequest.set(request, (byRequest.get(request) ?? 0) + 1);
  }
  // Uploads of different blobs are begun by the same request, unless a mount is asked for.
  for (const [request, count] of byRequest) {
    const limit = SENDS[kind] * (/uploads\/(ID)?$/.test(request) ? BLOBS : 1);
    assert.ok(count <= limit, `${of.told}: ${count} ${request}`);
  }
  const atRealm = entries.filter(({ host }) => host === REALM).length;
  const most = kind === 'token' ? SENDS.token * BLOBS : 0;
  assert.ok(atRealm <= most, `${of.told}: ${atRealm} at the realm`);
}

registryTest(
  'a registry that is never content with credentials or tokens is asked a few times, no more',
  {
    hosts: { ...HOSTS, [REALM]: [{ role: 'token', of: '127.0.0.1:5002' }] },
    tls: 'none',
    images: [{ repository: 'team/app', tags: ['v'], layers: smallLayers('app') }],
  },
  async ({ daemon, standin }) => {
    const [image] = standin.images;
    assert.ok(image !== undefined);
    for (const host of Object.keys(SERVERS)) {
      const headers = registryAuth({ username: 'me', password: 'my-secret', serveraddress: host });
      const good = `${host}/team/app:v`;
      for (const loop of loopsFor(image)) {
        const isPush = loop.verb === push;
        const target = isPush ? `${host}/team/${loop.name}:v` : good;
        await standin.setFaults([]);
        if (isPush) {
          assert.equal((await pull(daemon, good, { headers })).error, '');
          await daemon.mustDocker(['tag', good, target]);
        }
        await standin.setFaults([loopAt(host, loop)]);
        await standin.ledger({ clear: true });
        const answer = await loop.verb(daemon, target, { headers });
        const told = `${host}, ${loop.name}: ${answer.status} ${answer.error} after ${answer.tookMs} ms`;
        assert.match(answer.error, /unauthorized|authentication required|denied|no basic auth/, told);
        assert.ok(answer.tookMs < 20_000, told);
        isBounded((await standin.ledger()).entries, { host, told });
        if (isPush) await daemon.mustDocker(['rmi', good, target]);
        await nothingIsBegun({ daemon });
      }
    }
  },
);
