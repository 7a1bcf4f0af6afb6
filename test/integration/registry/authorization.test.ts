import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { LIMITS } from '#base/limits.ts';
import { basic, client, registry, repository, someone } from './client-fixture.ts';
import { refuse, type SmallRegistry, type Manner } from './small-registry.ts';

interface TokenServer {
  readonly registry: SmallRegistry;
  readonly realm: SmallRegistry;
}

async function withTokens(t: TestContext, token: Manner): Promise<TokenServer> {
  const realm = await registry(t, token);
  const demand = `Bearer realm="http://${realm.host}/token",service="s",scope="repository:team/app:pull"`;
  const one = await registry(t, ({ request, response }) =>
    request.headers.authorization === 'Bearer good'
      ? false
      : refuse(response, 401, { code: 'UNAUTHORIZED', headers: { 'www-authenticate': demand } }),
  );
  one.addManifest('v1', '{}');
  return { registry: one, realm };
}

const answerToken =
  (token: object): Manner =>
  ({ response }) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(token));
    return true;
  };

test('Basic: once it is known to be wanted it is sent at once; without credentials nothing is sent', async (t) => {
  const one = await registry(t, basic);
  one.addManifest('v1', '{}');
  const repo = repository(t, one.host, { credentials: someone(one.host) });
  await repo.ping();
  await repo.head('v1');
  await repo.manifest('v1');
  const sent = one.seen
    .filter(({ url }) => url.includes('manifests'))
    .map(({ authorization }) => authorization);
  assert.equal(sent.filter((value) => value === '').length, 0, 'what /v2/ said is remembered');
  const none = repository(t, one.host);
  await none.ping();
  await assert.rejects(none.head('v1'), {
    message: `Head "http://${one.host}/v2/team/app/manifests/v1": no basic auth credentials`,
    reason: 'no basic auth credentials',
    kind: 'internal',
  });
});

test('credentials for another registry stay here', async (t) => {
  const one = await registry(t, basic);
  const repo = repository(t, one.host, { credentials: someone('other.example') });
  await assert.rejects(repo.head('v1'), /no basic auth credentials/);
  assert.ok(one.seen.every(({ authorization }) => authorization === ''));
});

test('a token: the password goes to the realm, the token to the registry, and it is kept', async (t) => {
  const { registry: one, realm } = await withTokens(t, answerToken({ token: 'good', expires_in: 300 }));
  const own = client(t);
  const use = { actions: 'pull', credentials: someone(one.host) } as const;
  const name = { domain: one.host, path: 'team/app' };
  await Promise.all([1, 2, 3].map(() => own.repository(name, use).head('v1')));
  await own.repository(name, use).manifest('v1');
  assert.equal(realm.seen.length, 1, 'one request for all of them');
  const [asked] = realm.seen;
  assert.equal(asked?.url, '/token?account=someone&scope=repository%3Ateam%2Fapp%3Apull&service=s');
  assert.match(asked?.authorization ?? '', /^Basic /);
  assert.ok(one.seen.every(({ authorization }) => !authorization.startsWith('Basic')));
});

test('an identity token is exchanged; where nobody knows that grant the other way is taken', async (t) => {
  const { registry: one, realm } = await withTokens(t, answerToken({ access_token: 'good' }));
  const credentials = someone(one.host, { username: '', password: '', identityToken: 'refresh' });
  await repository(t, one.host, { credentials }).head('v1');
  assert.deepEqual(
    realm.seen.map(({ method }) => method),
    ['POST'],
  );
  realm.manners = [
    ({ request, response }) => {
      if (request.method === 'POST') response.writeHead(404).end();
      else return false;
      return true;
    },
    answerToken({ token: 'good' }),
  ];
  await repository(t, one.host, { credentials }).head('v1');
  assert.deepEqual(
    realm.seen.slice(1).map(({ method }) => method),
    ['POST', 'GET'],
  );
});

const redirect =
  (status: number, location: string): Manner =>
  ({ response, url }) => {
    if (url.pathname !== '/token') return false;
    response.writeHead(status, { location }).end();
    return true;
  };

test('a realm that sends to another host: neither password, refresh token nor body goes there', async (t) => {
  const other = await registry(t, answerToken({ token: 'good' }));
  const { registry: one, realm } = await withTokens(t, answerToken({}));
  const identity = someone(one.host, { username: '', password: '', identityToken: 'my-refresh' });
  for (const status of [301, 302, 303, 307, 308]) {
    realm.manners = [redirect(status, `http://${other.host}/t`)];
    await assert.rejects(
      repository(t, one.host, { credentials: identity }).head('v1'),
      status < 307
        ? new RegExp(`${status} response to a POST names another address`)
        : new RegExp(`refused to follow a redirect with credentials to http://${other.host}`),
    );
    assert.deepEqual(other.seen, [], `${status}: the other host is not asked at all`);
  }
  for (const status of [302, 307, 308]) {
    realm.manners = [redirect(status, `http://${other.host}/t`)];
    await repository(t, one.host, { credentials: someone(one.host) }).head('v1');
  }
  const wanted = { method: 'GET', url: '/t', authorization: '', range: '', bodyBytes: 0 };
  assert.deepEqual(other.seen, [wanted, wanted, wanted], 'asked without the password, as the reference does');
});

test('a realm that sends elsewhere on its own host: the refresh token goes along, but not further', async (t) => {
  const { registry: one, realm } = await withTokens(t, answerToken({}));
  const other = await registry(t, answerToken({ token: 'good' }));
  const credentials = someone(one.host, { username: '', password: '', identityToken: 'my-refresh' });
  realm.manners = [redirect(307, '/there'), answerToken({ token: 'good' })];
  await repository(t, one.host, { credentials }).head('v1');
  const [first, second] = realm.seen;
  assert.deepEqual(second, { ...first, url: '/there' });
  const onwards: Manner = ({ response }) => {
    response.writeHead(307, { location: `http://${other.host}/t` }).end();
    return true;
  };
  realm.manners = [redirect(307, '/there'), onwards];
  await assert.rejects(repository(t, one.host, { credentials }).head('v1'), /redirect with credentials/);
  assert.deepEqual(other.seen, []);
});

test('a token that is never taken ends the matter after two', async (t) => {
  const { registry: one, realm } = await withTokens(t, ({ response }) => {
    response.end(JSON.stringify({ token: `bad${Math.random()}` }));
    return true;
  });
  await assert.rejects(repository(t, one.host).manifest('v1'), { kind: 'unauthenticated' });
  assert.equal(realm.seen.length, LIMITS.registryAuthorizations);
});

test('what authorization servers may do wrong', async (t) => {
  const { registry: one, realm } = await withTokens(t, answerToken({}));
  const rejects = async (wanted: RegExp): Promise<void> =>
    await assert.rejects(repository(t, one.host).head('v1'), wanted);
  await rejects(/Head ".*": authorization server did not include a token in the response/);
  realm.manners = [answerToken({ token: 'a\nb' })];
  await rejects(/did not include a token/);
  realm.manners = [answerToken({ token: 'x'.repeat(LIMITS.tokenBytes) })];
  await rejects(/unable to decode token response/);
  realm.manners = [
    ({ response }) => {
      response.writeHead(401, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ details: 'incorrect username or password' }));
      return true;
    },
  ];
  await rejects(/Head ".*": unauthorized: incorrect username or password/);
});

test('login: Basic, a token with an identity token, and refusals', async (t) => {
  const one = await registry(t, basic);
  const ok = { status: 'Login Succeeded', identityToken: '' };
  assert.deepEqual(await client(t).login(someone(one.host)), ok);
  await assert.rejects(client(t).login(someone(one.host, { password: 'wrong' })), {
    message: `login attempt to http://${one.host}/v2/ failed with status: 401 Unauthorized`,
    kind: 'internal',
  });
  const { registry: two, realm } = await withTokens(t, answerToken({ token: 'good', refresh_token: 'r' }));
  const own = client(t);
  for (const again of [1, 2]) {
    assert.deepEqual(await own.login(someone(two.host)), { ...ok, identityToken: 'r' }, String(again));
  }
  assert.match(realm.seen[0]?.url ?? '', /account=someone&client_id=docker&offline_token=true&.*service=s$/);
});
