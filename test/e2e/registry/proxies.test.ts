import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import type { TestDaemon } from '../../support/daemon.ts';
import { pull, registryAuth, registryTest, smallLayers } from '../../support/registry/fixture.ts';
import { OPEN_REGISTRY, type RegistryRole } from '../../support/registry/plan.ts';
import { type ProxyEntry, startProxy } from '../../support/registry/proxy.ts';
import { OUTSIDE, startStandin } from '../../support/registry/standin.ts';

/*
 * Names that go by way of the proxy are known to it alone: whoever looks them up, or goes there directly,
 * does not get far.
 */

const PORT = 3128;
const USER = 'pro:s3cr3t@x';
const SECRETS = /s3cr3t|cHJvOn/;
const PROXY = `http://pro:s3cr3t%40x@${OUTSIDE}:${PORT}`;
const HEADER = `Basic ${Buffer.from(USER).toString('base64')}`;
const OPEN = { address: OUTSIDE, port: PORT, leadTo: OUTSIDE };
const AT = { ...OPEN, user: USER };
const BEHIND = 'behind.example';
const PLAIN = 'plain.example:5000';
const both = { 'http-proxy': PROXY, 'https-proxy': PROXY };
const hosts = (...names: readonly string[]): { hosts: string } => ({
  hosts: ['127.0.0.1 localhost', ...names.map((name) => `${OUTSIDE} ${name}`)].join('\n'),
});
const someone = { name: 'me', password: 'of-registry', pull: ['*'], push: ['*'] };
const basic: RegistryRole = {
  ...OPEN_REGISTRY,
  access: { kind: 'basic', realm: 'Basic realm="x"', users: [someone] },
};
const other = { repository: 'team/app', tags: ['v'], layers: smallLayers('plain') };
const image = { repository: 'team/app', tags: ['v'], layers: smallLayers('behind') };

async function noSecretIsShown(daemon: TestDaemon, texts: readonly string[] = []): Promise<void> {
  const log = await readFile(daemon.logFile, 'utf8');
  const info = (await daemon.api('/info')).body.toString();
  for (const text of [log, info, await daemon.mustDocker(['info']), ...texts])
    assert.doesNotMatch(text, SECRETS);
}

const kinds = (entries: readonly ProxyEntry[]): string[] => [
  ...new Set(entries.map(({ method, target }) => `${method} ${target}`)),
];

registryTest(
  'proxies of daemon.json: a tunnel for TLS, whole addresses without, and the password for the proxy alone',
  {
    ...{ hosts: { [BEHIND]: [basic] }, images: [image] },
    daemon: {
      etc: hosts(),
      config: { proxies: both, 'insecure-registries': [PLAIN], debug: true },
    },
  },
  async ({ daemon, standin, ground }) => {
    await using proxy = await startProxy(daemon, AT);
    const options = { hosts: { [PLAIN]: [basic] }, tls: 'none', images: [other] } as const;
    await using plain = await startStandin(daemon, ground, options);
    const login = await daemon.docker(['login', '-u', 'me', '--password-stdin', BEHIND], {
      input: 'of-registry',
    });
    assert.equal(login.exit, 0, login.stderr);
    await daemon.mustDocker(['pull', `${BEHIND}/team/app:v`]);
    await daemon.mustDocker(['tag', `${BEHIND}/team/app:v`, `${BEHIND}/team/app:w`]);
    await daemon.mustDocker(['push', `${BEHIND}/team/app:w`]);
    const tunnels = await proxy.ledger();
    assert.deepEqual(kinds(tunnels), [`CONNECT ${BEHIND}:443`]);
    for (const entry of tunnels)
      assert.deepEqual(
        [entry.proxyAuthorization, entry.authorization],
        [HEADER, ''],
        'nothing of the registry',
      );
    const auth = registryAuth({ username: 'me', password: 'of-registry', serveraddress: PLAIN });
    assert.equal((await pull(daemon, `${PLAIN}/team/app:v`, { headers: auth })).error, '');
    const asked = await proxy.ledger();
    const whole = asked.filter(({ method }) => method !== 'CONNECT');
    assert.deepEqual(kinds(asked.filter(({ method }) => method === 'CONNECT')), [`CONNECT ${PLAIN}`]);
    assert.ok(whole.length > 4);
    for (const { target, proxyAuthorization } of whole) {
      assert.match(target, /^http:\/\/plain\.example:5000\/v2\//);
      assert.equal(proxyAuthorization, HEADER);
    }
    const { entries } = await plain.ledger();
    assert.equal(entries.length, whole.length, 'nothing went there directly');
    for (const { proxyAuthorization } of [...entries, ...(await standin.ledger()).entries])
      assert.equal(proxyAuthorization, '');
    const info = await daemon.mustDocker(['info', '--format', '{{.HTTPProxy}} {{.HTTPSProxy}}']);
    assert.equal(info, `http://xxxxx:xxxxx@${OUTSIDE}:${PORT} http://xxxxx:xxxxx@${OUTSIDE}:${PORT}`);
    await noSecretIsShown(daemon);
  },
);

registryTest(
  'a SOCKS proxy: for TLS and without, with a password, names are its to look up',
  {
    ...{ hosts: { [BEHIND]: [OPEN_REGISTRY] }, images: [image] },
    daemon: {
      etc: hosts(),
      config: {
        proxies: {
          'http-proxy': `socks5h://pro:s3cr3t%40x@${OUTSIDE}:${PORT}`,
          'https-proxy': `socks5://pro:s3cr3t%40x@${OUTSIDE}:${PORT}`,
        },
        'insecure-registries': [PLAIN],
        debug: true,
      },
    },
  },
  async ({ daemon, ground }) => {
    await using proxy = await startProxy(daemon, { ...AT, kind: 'socks5' });
    const options = { hosts: { [PLAIN]: [OPEN_REGISTRY] }, tls: 'none', images: [other] } as const;
    await using _plain = await startStandin(daemon, ground, options);
    await daemon.mustDocker(['pull', `${BEHIND}/team/app:v`]);
    await daemon.mustDocker(['tag', `${BEHIND}/team/app:v`, `${BEHIND}/team/app:w`]);
    await daemon.mustDocker(['push', `${BEHIND}/team/app:w`]);
    const tunnels = await proxy.ledger();
    assert.deepEqual(kinds(tunnels), [`SOCKS ${BEHIND}:443`]);
    assert.ok(tunnels.every(({ proxyAuthorization }) => proxyAuthorization === USER));
    await daemon.mustDocker(['pull', `${PLAIN}/team/app:v`]);
    assert.deepEqual(kinds(await proxy.ledger()), [`SOCKS ${PLAIN}`]);
    await noSecretIsShown(daemon);
  },
);

/** Whether a registry is asked by way of the proxy, where `no-proxy` says what stands here. */
const NO_PROXY = 'direct.example, .suffix.example,ported.example:5443,198.18.0.1,198.19.0.0/16';
const WAYS: Readonly<Record<string, boolean>> = {
  'direct.example': false,
  'sub.direct.example': false,
  'indirect.example': true,
  'a.suffix.example': false,
  'suffix.example': true,
  'ported.example:5443': false,
  'ported.example:5444': true,
  '198.18.0.1:5445': false,
  '198.20.0.1:5446': true,
  '127.0.0.1:5447': false,
};

for (const [how, options] of [
  ['daemon.json', { config: { proxies: { 'https-proxy': PROXY, 'no-proxy': NO_PROXY } } }],
  ['flags', { args: ['--https-proxy', PROXY, '--no-proxy', NO_PROXY] }],
  ['the environment', { env: { HTTPS_PROXY: PROXY, NO_PROXY } }],
  ['the environment in small letters', { env: { https_proxy: PROXY, no_proxy: NO_PROXY } }],
] as const)
  registryTest(
    `who is asked directly: no-proxy of ${how}`,
    {
      hosts: Object.fromEntries(Object.keys(WAYS).map((host) => [host, [OPEN_REGISTRY]])),
      daemon: {
        ...options,
        etc: hosts(
          ...Object.keys(WAYS)
            .filter((host) => !WAYS[host])
            .map((host) => host.replace(/:.*/, '')),
        ),
      },
    },
    async ({ daemon, standin }) => {
      await using proxy = await startProxy(daemon, AT);
      for (const [host, isProxied] of Object.entries(WAYS)) {
        const { error } = await pull(daemon, `${host}/none:v`);
        assert.match(error, /not found: manifest unknown/, host);
        const target = host.includes(':') ? host : `${host}:443`;
        assert.deepEqual(kinds(await proxy.ledger()), isProxied ? [`CONNECT ${target}`] : [], host);
      }
      const { entries } = await standin.ledger();
      assert.deepEqual(new Set(entries.map(({ host }) => host)), new Set(Object.keys(WAYS)));
      assert.equal(await daemon.mustDocker(['info', '--format', '{{.NoProxy}}']), NO_PROXY);
      await noSecretIsShown(daemon);
    },
  );

registryTest(
  'daemon.json counts before the environment; each scheme has a proxy of its own',
  {
    ...{ hosts: { [BEHIND]: [OPEN_REGISTRY] }, images: [image] },
    daemon: {
      etc: hosts(),
      env: { HTTPS_PROXY: 'http://198.18.0.1:1', HTTP_PROXY: `http://${OUTSIDE}:${PORT}` },
      config: { proxies: { 'https-proxy': `${OUTSIDE}:${PORT}` } },
    },
  },
  async ({ daemon, ground }) => {
    await using proxy = await startProxy(daemon, OPEN);
    await using files = await startStandin(daemon, ground, {
      hosts: { 'files.example:80': [] },
      tls: 'none',
    });
    await daemon.mustDocker(['pull', `${BEHIND}/team/app:v`]);
    assert.deepEqual(kinds(await proxy.ledger()), [`CONNECT ${BEHIND}:443`]);
    const { stderr } = await daemon.docker(['import', 'http://files.example/root.tar']);
    assert.match(stderr, /404 Not Found/);
    assert.deepEqual(kinds(await proxy.ledger()), ['GET http://files.example/root.tar']);
    assert.equal((await files.ledger()).entries.length, 1);
  },
);

const GET = `Error response from daemon: Get "https://${BEHIND}/v2/": `;
const BROKEN: Readonly<Record<string, readonly [proxy: string, text: string]>> = {
  'one that is away': [
    'http://pro:s3cr3t@198.18.0.1:1',
    'proxyconnect tcp: dial tcp 198.18.0.1:1: connect: connection refused',
  ],
  'one without a name': [
    'http://pro:s3cr3t@nowhere.example:1',
    'proxyconnect tcp: dial tcp: lookup nowhere.example',
  ],
  'one that knows others': [`http://pro:s3cr3t@${OUTSIDE}:${PORT}`, 'Proxy Authentication Required'],
  'one of another kind': [
    'socks4://pro:s3cr3t@198.18.0.1:1',
    'proxyconnect tcp: unsupported protocol scheme "socks4"',
  ],
  'a SOCKS proxy that is away': [
    'socks5://pro:s3cr3t@198.18.0.1:1',
    'proxyconnect tcp: dial tcp 198.18.0.1:1: connect: connection refused',
  ],
  'no address': [
    'http://pro:s3cr3t%zz@198.18.0.1:1',
    'proxyconnect tcp: the address of the proxy is not a valid one',
  ],
};

for (const [name, [address, text]] of Object.entries(BROKEN))
  registryTest(
    `a proxy that is of no use: ${name}`,
    {
      ...{ hosts: { [BEHIND]: [OPEN_REGISTRY] }, images: [image] },
      daemon: { etc: hosts(BEHIND), config: { proxies: { 'https-proxy': address }, debug: true } },
    },
    async ({ daemon, standin }) => {
      await using _proxy = await startProxy(daemon, AT);
      const began = Date.now();
      const pulled = await daemon.docker(['pull', `${BEHIND}/team/app:v`]);
      assert.equal(pulled.exit, 1);
      assert.ok(pulled.stderr.startsWith(`${GET}${text}`), pulled.stderr);
      const login = await daemon.docker(['login', '-u', 'me', '--password-stdin', BEHIND], { input: 'x' });
      assert.equal(login.exit, 1);
      assert.ok(login.stderr.startsWith(`${GET}${text}`), login.stderr);
      assert.ok(Date.now() - began < 20_000);
      assert.deepEqual((await standin.ledger()).entries, [], 'nobody went around it');
      await noSecretIsShown(daemon, [pulled.stderr, login.stderr]);
    },
  );
