/**
 * `insecure-registries`: a registry that is named there, or lies in a network that is, is used whatever its
 * certificate; its neighbours are not.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { test } from 'node:test';
import { startDaemon, type TestDaemon } from '../../support/daemon.ts';
import { dockerIsMissing } from '../../support/e2e.ts';
import { pull, smallLayers } from '../../support/registry/fixture.ts';
import { OPEN_REGISTRY, type RegistryRole } from '../../support/registry/plan.ts';
import { OUTSIDE, RegistryGround, type Standin, startStandin } from '../../support/registry/standin.ts';

const NAME = 'registry.example';
const SECRET = 'right-secret';
const REGISTRY: RegistryRole = {
  ...OPEN_REGISTRY,
  access: {
    ...{ kind: 'basic', realm: 'Basic realm="x"' },
    users: [{ name: 'me', password: SECRET, pull: ['*'], push: ['*'] }],
  },
};

type Tls = 'good' | 'expired' | 'other-name' | 'none';
/** What is wrong with each; the authority of all but the expired one is unknown, too. */
const WRONG: Readonly<Record<Tls, { readonly port: number; readonly refusal: RegExp }>> = {
  good: { port: 6443, refusal: /x509: certificate signed by unknown authority$/ },
  expired: { port: 6444, refusal: /x509: certificate has expired or is not yet valid: current time / },
  'other-name': { port: 6445, refusal: /x509: / },
  none: { port: 6446, refusal: /http: server gave HTTP response to HTTPS client$/ },
};
const ROWS = Object.entries(WRONG) as [Tls, (typeof WRONG)[Tls]][];
const atAddress = (port: number): string => `${OUTSIDE}:${port}`;
const atName = (port: number): string => `${NAME}:${port}`;

interface Entry {
  readonly name: string;
  readonly entries: readonly string[];
  readonly host: (port: number) => string;
}

const ENTRIES: readonly Entry[] = [
  { name: 'address and port', entries: ROWS.map(([, { port }]) => atAddress(port)), host: atAddress },
  { name: 'a name without a port', entries: [NAME], host: atName },
  { name: 'the network of an address', entries: ['198.18.0.0/24'], host: atAddress },
  { name: 'the network of a name', entries: ['198.18.0.1/32'], host: atName },
];
const NEIGHBOURS: readonly Entry[] = [
  { name: 'other ports', entries: [atAddress(1), NAME], host: atAddress },
  { name: 'another network', entries: ['198.18.1.0/24', '10.0.0.0/8'], host: atName },
];

interface Given {
  readonly daemon: TestDaemon;
  readonly standin: Standin;
  readonly host: string;
  readonly refusal: RegExp;
}

function insecureTest(
  { name, entries, host }: Entry,
  of: { readonly title: string; readonly body: (given: Given) => Promise<void> },
): void {
  test(`${of.title}: ${name}`, { timeout: 120_000 }, async (context) => {
    const reason = await dockerIsMissing();
    if (reason !== false) return context.skip(reason);
    const folder = await mkdtemp('/tmp/gantry-insecure-');
    try {
      const ground = await RegistryGround.make(folder);
      const trusted = await ground.etcFor([host(WRONG.expired.port)]);
      const etc = { ...trusted, hosts: `127.0.0.1 localhost\n${OUTSIDE} ${NAME}\n` };
      await using daemon = await startDaemon({ etc, config: { 'insecure-registries': entries } });
      for (const [tls, { port, refusal }] of ROWS) {
        await using standin = await startStandin(daemon, ground, {
          ...{ hosts: { [host(port)]: [REGISTRY] }, tls },
          images: [{ repository: 'team/x', tags: ['v'], layers: smallLayers(tls) }],
        });
        await of.body({ daemon, standin, host: host(port), refusal });
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
}

async function everyVerb({ daemon, standin, host }: Given): Promise<void> {
  const login = ['login', '-u', 'me', '--password-stdin', host];
  const wrong = await daemon.docker(login, { input: 'wrong' });
  assert.match(
    wrong.stderr,
    /login attempt to https?:\/\/.+\/v2\/ failed with status: 401 Unauthorized/,
    host,
  );
  const right = await daemon.docker(login, { input: SECRET });
  assert.match(right.stdout, /Login Succeeded/, `${host}: ${right.stderr}`);
  const said = await daemon.mustDocker(['pull', `${host}/team/x:v`]);
  assert.match(said, new RegExp(`Digest: ${standin.images[0]?.digest}`));
  await daemon.mustDocker(['tag', `${host}/team/x:v`, `${host}/team/y:w`]);
  assert.match(await daemon.mustDocker(['push', `${host}/team/y:w`]), /^w: digest: sha256:[0-9a-f]{64} /m);
  const found = await daemon.mustDocker(['search', '--format', '{{.Name}}', `${host}/team`]);
  assert.deepEqual(found.split('\n').toSorted(), ['team/x', 'team/y']);
}

async function refuses({ daemon, standin, host, refusal }: Given): Promise<void> {
  const { status, error } = await pull(daemon, `${host}/team/x:v`);
  assert.equal(status, 500);
  assert.match(error, refusal);
  const body = { username: 'me', password: SECRET, serveraddress: host };
  const login = await daemon.api('/auth', { method: 'POST', body });
  assert.match((login.json as { readonly message: string }).message, refusal);
  const search = await daemon.api(`/images/search?term=${host}/team`);
  const { message } = search.json as { readonly message: string };
  assert.ok(message.startsWith(`invalid registry endpoint https://${host}/v1/: `), message);
  assert.deepEqual((await standin.ledger()).entries, [], 'nothing was said to it');
}

for (const entry of ENTRIES)
  insecureTest(entry, { title: 'insecure registries are used with every verb', body: everyVerb });
for (const entry of NEIGHBOURS)
  insecureTest(entry, { title: 'registries beside insecure ones are refused', body: refuses });
