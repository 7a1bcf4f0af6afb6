import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { test } from 'node:test';
import { dockerIsMissing } from '../../support/e2e.ts';
import { startDaemon, type TestDaemon } from '../../support/daemon.ts';
import {
  nothingIsBegun,
  pull,
  push,
  registryAuth,
  registryTest,
  smallLayers,
} from '../../support/registry/fixture.ts';
import { type FaultAct, OPEN_REGISTRY, type RegistryRole } from '../../support/registry/plan.ts';
import { OUTSIDE, RegistryGround, startStandin } from '../../support/registry/standin.ts';

/** What clients are told, word for word as the reference has it. */
const HOST = '127.0.0.1:5000';
const X = `${HOST}/team/x`;
const JSON_TYPE = { 'content-type': 'application/json' };

interface Said {
  readonly name: string;
  readonly act: FaultAct;
  readonly status: number;
  readonly text: string;
}

function told(status: number, code: string, said: { message: string; detail?: unknown }): FaultAct {
  const body = JSON.stringify({ errors: [{ code, ...said }] });
  return { kind: 'status', status, headers: JSON_TYPE, body };
}

const DENIED = 'requested access to the resource is denied';
const MAY_LOGIN = `pull access denied for ${X}, repository does not exist or may require 'docker login'`;

const REFUSALS: readonly Said[] = [
  {
    ...{
      name: 'manifest unknown',
      act: told(404, 'MANIFEST_UNKNOWN', { message: 'manifest unknown', detail: { Tag: 'v' } }),
      status: 404,
    },
    text: `manifest for ${X}:v not found: manifest unknown: manifest unknown`,
  },
  {
    ...{
      name: 'manifest unknown, in short',
      act: told(404, 'MANIFEST_UNKNOWN', { message: 'manifest unknown' }),
      status: 404,
    },
    text: 'manifest unknown',
  },
  {
    ...{
      name: 'name unknown',
      act: told(404, 'NAME_UNKNOWN', { message: 'repository name not known to registry', detail: {} }),
      status: 404,
    },
    text: `repository ${X} not found: name unknown: repository name not known to registry`,
  },
  {
    name: 'denied',
    act: told(403, 'DENIED', { message: DENIED, detail: [{}] }),
    status: 404,
    text: `${MAY_LOGIN}: denied: ${DENIED}`,
  },
  { name: 'denied, in short', act: told(403, 'DENIED', { message: DENIED }), status: 403, text: 'denied' },
  {
    ...{
      name: 'denied for a reason',
      act: told(403, 'DENIED', { message: 'installation not allowed' }),
      status: 404,
    },
    text: `${MAY_LOGIN}: denied: installation not allowed`,
  },
  {
    ...{
      name: 'unauthorized',
      act: told(401, 'UNAUTHORIZED', { message: 'authentication required', detail: [{}] }),
      status: 401,
    },
    text: 'unauthorized: authentication required',
  },
  {
    ...{
      name: 'unauthorized, in short',
      act: told(401, 'UNAUTHORIZED', { message: 'authentication required' }),
      status: 401,
    },
    text: 'unauthorized',
  },
  {
    ...{
      name: 'bad tag',
      act: told(400, 'TAG_INVALID', { message: 'manifest tag did not match URI' }),
      status: 400,
    },
    text: 'tag invalid',
  },
  {
    ...{
      name: 'too many',
      act: told(429, 'TOOMANYREQUESTS', { message: 'You have reached your pull rate limit' }),
    },
    ...{ status: 429, text: 'toomanyrequests: You have reached your pull rate limit' },
  },
  {
    ...{
      name: 'not JSON',
      act: { kind: 'status', status: 418, headers: { 'content-type': 'text/plain' }, body: 'tea' },
    },
    ...{ status: 500, text: 'unknown: tea' },
  },
];

registryTest(
  'what a registry refuses is told as the reference tells it',
  {
    hosts: { [HOST]: [OPEN_REGISTRY] },
    tls: 'none',
    images: [{ repository: 'team/x', tags: ['v'], layers: smallLayers('x') }],
  },
  async ({ daemon, standin }) => {
    for (const { name, act, status, text } of REFUSALS) {
      await standin.setFaults([{ path: '/team/x/manifests/', act }]);
      const answer = await pull(daemon, `${X}:v`);
      assert.deepEqual([answer.status, answer.error], [status, text], name);
      await nothingIsBegun({ daemon });
    }
    await standin.setFaults([{ path: '^/v2/$', act: { kind: 'status', status: 404, body: 'nothing' } }]);
    const away = await pull(daemon, `${X}:v`);
    assert.deepEqual([away.status, away.error], [500, 'unknown: nothing']);
    await standin.setFaults([]);
    const none = await pull(daemon, `${HOST}/team/none:v`);
    assert.equal(
      none.error,
      `manifest for ${HOST}/team/none:v not found: manifest unknown: manifest unknown`,
    );
    await nothingIsBegun({ daemon });
  },
);

const WARNING = (reference: string, platforms: readonly [string, string]): string =>
  `WARNING: image with reference ${reference} was found but its platform (${platforms[0]}) ` +
  `does not match the specified platform (${platforms[1]})`;
const single = (tag: string, platform: { os: string; architecture: string; variant?: string }) => ({
  ...{ repository: 'team/x', tags: [tag], layers: smallLayers(tag), config: { Cmd: [tag] } },
  singlePlatform: platform,
});

registryTest(
  'a single image for another platform is pulled with a warning at the very end',
  {
    ...{ hosts: { [HOST]: [OPEN_REGISTRY] }, tls: 'none' },
    images: [
      single('v', { os: 'linux', architecture: 's390x' }),
      single('none', { os: '', architecture: '' }),
      single('arm', { os: 'linux', architecture: 'arm', variant: 'v7' }),
      single('latest', { os: 'linux', architecture: 'ppc64le' }),
      {
        ...{ repository: 'team/list', tags: ['v'], layers: smallLayers('list') },
        platforms: [{ os: 'linux', architecture: 'arm64' }],
      },
    ],
  },
  async ({ daemon, standin }) => {
    const warned = async (reference: string, platform: string): Promise<readonly (string | undefined)[]> => {
      const { lines, error } = await pull(daemon, reference, { platform });
      assert.equal(error, '', reference);
      const words = lines.map(({ status }) => status);
      return words.slice(words.findIndex((word) => word?.startsWith('Status: ')) + 1);
    };
    const other = ['linux/s390x', 'linux/arm64'] as const;
    for (const _ of ['new', 'here already'])
      assert.deepEqual(await warned(`${X}:v`, 'linux/arm64'), [WARNING(`${X}:v`, other)]);
    const precise = `${X}@${standin.images[0]?.digest}`;
    assert.deepEqual(await warned(precise, 'linux/arm64'), [WARNING(precise, other)]);
    assert.deepEqual(await warned(`${X}:none`, 'linux/arm'), [
      WARNING(`${X}:none`, ['unknown', 'linux/arm']),
    ]);
    assert.deepEqual(await warned(X, 'linux/arm64'), [WARNING(X, ['linux/ppc64le', 'linux/arm64'])]);
    for (const [reference, platform] of [
      [`${X}:v`, 'linux/s390x'],
      [`${X}:arm`, 'linux/arm64'],
      [`${HOST}/team/list:v`, 'linux/arm64/v8'],
    ] as const)
      assert.deepEqual(await warned(reference, platform), [], reference);
    assert.deepEqual((await pull(daemon, `${X}:v`)).lines.at(-1), {
      status: `Status: Image is up to date for ${X}:v`,
    });
    const quiet = await daemon.mustDocker(['pull', '-q', '--platform', 'linux/arm64', `${X}:v`]);
    assert.equal(quiet, `${X}:v`);
    const seen = ['image', 'inspect', '--format', 'ok', '--platform', 'linux/arm64'];
    assert.equal(await daemon.mustDocker([...seen, `${X}:arm`]), 'ok');
    assert.match((await daemon.docker([...seen, `${X}:v`])).stderr, /does not match the specified platform/);
  },
);

const MANY = [{ os: 'linux', architecture: 's390x' }];

registryTest(
  'no image for a platform',
  {
    ...{ hosts: { [HOST]: [OPEN_REGISTRY] }, tls: 'none' },
    images: [{ repository: 'team/x', tags: ['v'], layers: smallLayers('x'), platforms: MANY }],
  },
  async ({ daemon }) => {
    const other = await pull(daemon, `${X}:v`, { platform: 'linux/arm64' });
    assert.equal(other.error, 'no matching manifest for linux/arm64 in the manifest list entries');
    const right = await pull(daemon, `${X}:v`, { platform: 'linux/s390x' });
    assert.equal(right.error, '');
  },
);

registryTest(
  'what a push is refused with',
  {
    hosts: { [HOST]: [OPEN_REGISTRY] },
    tls: 'none',
    images: [{ repository: 'team/x', tags: ['v'], layers: smallLayers('x') }],
  },
  async ({ daemon, standin }) => {
    await pull(daemon, `${X}:v`);
    await daemon.mustDocker(['tag', `${X}:v`, `${HOST}/other/x:v`]);
    const target = `${HOST}/other/x:v`;
    for (const [act, text] of [
      [told(403, 'DENIED', { message: DENIED, detail: [{}] }), `denied: ${DENIED}`],
      [told(403, 'DENIED', { message: 'quota gone' }), 'denied: quota gone'],
      [
        told(401, 'UNAUTHORIZED', { message: 'authentication required', detail: [{}] }),
        'unauthorized: authentication required',
      ],
    ] as const) {
      await standin.setFaults([{ method: 'POST', path: '/other/x/blobs/uploads/', act }]);
      assert.equal((await push(daemon, target)).error, text);
    }
    const none = await push(daemon, `${HOST}/nope:v`);
    assert.equal(none.error, `An image does not exist locally with the tag: ${HOST}/nope`);
    const tag = await push(daemon, `${X}:nope`);
    assert.equal(tag.error, `tag does not exist: ${X}:nope`);
  },
);

interface Login {
  readonly status: number;
  readonly message: string;
}

async function login(daemon: TestDaemon, server: string, password: string): Promise<Login> {
  const body = { username: 'me', password, serveraddress: server };
  const { status, json } = await daemon.api('/auth', { method: 'POST', body });
  const answer = json as { message?: string; Status?: string };
  return { status, message: answer.message ?? answer.Status ?? '' };
}

const someone = { name: 'me', password: 'right', pull: ['*'], push: ['*'] };
const REALM = '127.0.0.1:5003';
const basic: RegistryRole = {
  ...OPEN_REGISTRY,
  access: { kind: 'basic', realm: 'Basic realm="x"', users: [someone] },
};
const token: RegistryRole = {
  ...OPEN_REGISTRY,
  access: {
    ...{ kind: 'token', realm: `http://${REALM}/token`, service: 'svc', users: [someone] },
    ...{ anonymous: [], member: 'token' },
  },
};

registryTest(
  'logins, good and bad',
  {
    hosts: {
      ...{ [HOST]: [OPEN_REGISTRY], '127.0.0.1:5001': [basic], '127.0.0.1:5002': [token] },
      [REALM]: [{ role: 'token', of: '127.0.0.1:5002' }],
    },
    tls: 'none',
  },
  async ({ daemon, standin }) => {
    const good = { status: 200, message: 'Login Succeeded' };
    for (const server of [HOST, '127.0.0.1:5001', '127.0.0.1:5002'])
      assert.deepEqual(await login(daemon, server, 'right'), good);
    assert.deepEqual(await login(daemon, '127.0.0.1:5001', 'wrong'), {
      status: 500,
      message: 'login attempt to http://127.0.0.1:5001/v2/ failed with status: 401 Unauthorized',
    });
    assert.deepEqual(await login(daemon, '127.0.0.1:5002', 'wrong'), {
      status: 401,
      message: 'Get "http://127.0.0.1:5002/v2/": unauthorized: incorrect username or password',
    });
    assert.deepEqual(await login(daemon, '127.0.0.1:1', 'right'), {
      status: 500,
      message: 'Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused',
    });
    await standin.setFaults([{ host: HOST, act: { kind: 'status', status: 500 } }]);
    assert.deepEqual(await login(daemon, HOST, 'right'), {
      status: 500,
      message: `login attempt to http://${HOST}/v2/ failed with status: 500 Internal Server Error`,
    });
    const bad = await pull(daemon, '127.0.0.1:5002/team/x:v', {
      headers: registryAuth({ username: 'me', password: 'wrong' }),
    });
    assert.deepEqual(
      [bad.status, bad.error],
      [
        401,
        'Head "http://127.0.0.1:5002/v2/team/x/manifests/v": unauthorized: incorrect username or password',
      ],
    );
  },
);

const TLS_PORT = 6443;
const secure = `${OUTSIDE}:${TLS_PORT}`;
const PREFIX = `Get "https://${secure}/v2/": `;
const TRUST: Readonly<Record<string, { readonly trusts: boolean; readonly text: string }>> = {
  good: { trusts: true, text: '' },
  unknown: {
    trusts: false,
    text: 'tls: failed to verify certificate: x509: certificate signed by unknown authority',
  },
  expired: {
    trusts: true,
    text: 'tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time T is after 2021-01-01T00:00:00Z',
  },
  'other-name': {
    trusts: true,
    text: "tls: failed to verify certificate: x509: cannot validate certificate for 198.18.0.1 because it doesn't contain any IP SANs",
  },
  client: { trusts: true, text: 'remote error: tls: certificate required' },
  none: { trusts: true, text: 'http: server gave HTTP response to HTTPS client' },
};

for (const [kind, { trusts, text }] of Object.entries(TRUST)) {
  test(`a registry with TLS: ${kind}`, { timeout: 60_000 }, async (context) => {
    const reason = await dockerIsMissing();
    if (reason !== false) return context.skip(reason);
    const folder = await mkdtemp('/tmp/gantry-registry-');
    try {
      const ground = await RegistryGround.make(folder);
      const etc = await ground.etcFor(trusts ? [secure] : ['nobody.example']);
      await using daemon = await startDaemon({ etc });
      const tls =
        kind === 'unknown' ? 'good' : (kind as 'good' | 'expired' | 'other-name' | 'client' | 'none');
      await using standin = await startStandin(daemon, ground, {
        ...{ hosts: { [secure]: [OPEN_REGISTRY] }, tls },
        images: [{ repository: 'team/x', tags: ['v'], layers: smallLayers('x') }],
      });
      const answer = await pull(daemon, `${secure}/team/x:v`);
      if (text === '') {
        assert.equal(answer.error, '');
        assert.ok((await standin.ledger()).entries.length > 0);
        return;
      }
      const said = answer.error.replace(/current time \S+Z/, 'current time T');
      assert.deepEqual([answer.status, said], [500, `${PREFIX}${text}`]);
      const { status, message } = await login(daemon, secure, 'x');
      assert.deepEqual(
        [status, message.replace(/current time \S+Z/, 'current time T')],
        [500, `${PREFIX}${text}`],
      );
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
}

test('certificates of clients, and halves of them', { timeout: 60_000 }, async (context) => {
  const reason = await dockerIsMissing();
  if (reason !== false) return context.skip(reason);
  const folder = await mkdtemp('/tmp/gantry-registry-');
  try {
    const ground = await RegistryGround.make(folder);
    const { certificate, key } = await ground.client();
    const [cert, secret] = [await readFile(certificate, 'utf8'), await readFile(key, 'utf8')];
    const [second, third] = [`${OUTSIDE}:6444`, `${OUTSIDE}:6445`];
    const etc = {
      ...(await ground.etcFor([secure])),
      [`docker/certs.d/${secure}/client.cert`]: cert,
      [`docker/certs.d/${secure}/client.key`]: secret,
      [`docker/certs.d/${second}/client.cert`]: cert,
      [`docker/certs.d/${third}/client.key`]: secret,
    };
    await using daemon = await startDaemon({ etc });
    await using standin = await startStandin(daemon, ground, {
      ...{ hosts: { [secure]: [OPEN_REGISTRY] }, tls: 'client' },
      images: [{ repository: 'team/x', tags: ['v'], layers: smallLayers('x') }],
    });
    assert.equal((await pull(daemon, `${secure}/team/x:v`)).error, '');
    assert.ok((await standin.ledger()).entries.length > 0);
    const noKey = await pull(daemon, `${second}/x:v`);
    assert.equal(
      noKey.error,
      'missing key client.key for client certificate client.cert. CA certificates must use the extension .crt',
    );
    const noCert = await pull(daemon, `${third}/x:v`);
    assert.match(noCert.error, /^missing client certificate client\.cert for key client\.key$/);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

registryTest(
  'what is told of a registry that wants a user, when nobody has said one',
  {
    ...{ hosts: { '127.0.0.1:5001': [basic] }, tls: 'none' },
    images: [{ repository: 'team/x', tags: ['v'], layers: smallLayers('x') }],
  },
  async ({ daemon, standin }) => {
    const [image] = standin.images;
    const name = '127.0.0.1:5001/team/x';
    const ask = async (reference: string, headers = {}): Promise<[number, string]> => {
      const { status, json } = await daemon.api(`/distribution/${reference}/json`, { headers });
      return [status, (json as { message?: string }).message ?? ''];
    };
    const place = 'http://127.0.0.1:5001/v2/team/x/manifests';
    assert.deepEqual(await ask(`${name}:v`), [500, `Head "${place}/v": no basic auth credentials`]);
    assert.deepEqual(await ask(`${name}:nope`), [500, `Head "${place}/nope": no basic auth credentials`]);
    const { digest = '' } = image ?? {};
    const precise = [500, `Get "${place}/${digest}": no basic auth credentials`];
    assert.deepEqual(await ask(`${name}@${digest}`), precise);
    const user = registryAuth({ username: 'me', password: 'right' });
    assert.deepEqual(await ask(`${name}:v`, user), [200, '']);
    assert.deepEqual(await ask(`${name}:nope`, user), [404, 'manifest unknown: manifest unknown']);
  },
);

registryTest(
  'search: what is told',
  { hosts: { [HOST]: [OPEN_REGISTRY] }, tls: 'none' },
  async ({ daemon, standin }) => {
    const search = async (query: string): Promise<[number, string]> => {
      const { status, json } = await daemon.api(`/images/search?${query}`);
      return [status, (json as { message?: string }).message ?? ''];
    };
    const term = `term=${HOST}/x`;
    assert.deepEqual(await search(`${term}&limit=101`), [400, 'limit 101 is outside the range of [1, 100]']);
    assert.deepEqual(await search(`${term}&limit=x`), [
      400,
      'invalid limit specified: strconv.Atoi: parsing "x": invalid syntax',
    ]);
    assert.deepEqual(await search(`${term}&filters=${encodeURIComponent('{"nope":["x"]}')}`), [
      400,
      "invalid filter 'nope'",
    ]);
    const filtered = (filters: object): Promise<[number, string]> =>
      search(`${term}&filters=${encodeURIComponent(JSON.stringify(filters))}`);
    assert.deepEqual(await filtered({ stars: ['1', 'x'] }), [
      400,
      `invalid filter 'stars=x': strconv.Atoi: parsing "x": invalid syntax`,
    ]);
    assert.deepEqual(await filtered({ 'is-official': ['foo'] }), [400, "invalid filter 'is-official=[foo]'"]);
    await standin.setFaults([{ path: '/v1/search', act: { kind: 'status', status: 500 } }]);
    assert.deepEqual(await search(term), [500, 'Unexpected status code 500']);
    const refused = await search('term=127.0.0.1:1/x');
    assert.equal(refused[0], 400);
    assert.match(
      refused[1],
      /^invalid registry endpoint "http:\/\/127\.0\.0\.1:1\/v1\/"\. HTTPS attempt: Get "https:/,
    );
  },
);
