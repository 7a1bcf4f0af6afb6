import assert from 'node:assert/strict';
import {
  assertCredentialsStay,
  pull,
  registryAuth,
  registryTest,
  smallLayers,
} from '../../support/registry/fixture.ts';
import type { FaultAct, RegistryRole } from '../../support/registry/plan.ts';

const PRIVATE = '127.0.0.1:5000';
const ELSEWHERE = '127.0.0.1:5001';
const someone = { name: 'me', password: 'my-secret', pull: ['*'], push: ['*'] };
const refused = /refused to follow a redirect with credentials to http:\/\/127\.0\.0\.1:5001/;
const refusals = { 302: /302 response to a POST names another address/, 307: refused, 308: refused };
const tokens: RegistryRole = {
  ...{ role: 'registry', location: 'relative', link: 'relative' },
  access: {
    ...{ kind: 'token', realm: `http://${PRIVATE}/token`, service: 'x', member: 'token' },
    ...{ users: [someone], anonymous: [], identityToken: 'my-identity' },
  },
};

registryTest(
  'a realm that redirects to another host takes no credentials along',
  {
    hosts: {
      [PRIVATE]: [tokens, { role: 'token', of: PRIVATE }],
      [ELSEWHERE]: [{ role: 'token', of: PRIVATE }],
    },
    tls: 'none',
    images: [{ repository: 'team/app', tags: ['v'], layers: smallLayers('realm') }],
  },
  async ({ daemon, standin }) => {
    const identity = { serveraddress: PRIVATE, identitytoken: 'my-identity' };
    const password = { serveraddress: PRIVATE, username: 'me', password: 'my-secret' };
    for (const to of [302, 307, 308] as const) {
      const act: FaultAct = { kind: 'redirect', to: `http://${ELSEWHERE}/token`, status: to };
      await standin.setFaults([{ host: PRIVATE, path: '^/token', act }]);
      for (const credentials of [identity, password]) {
        const answer = await pull(daemon, `${PRIVATE}/team/app:v`, { headers: registryAuth(credentials) });
        assert.match(answer.error, credentials === identity ? refusals[to] : /access denied/, String(to));
      }
    }
    const ledger = await standin.ledger();
    const asked = ledger.entries.filter(({ host }) => host === ELSEWHERE);
    assert.deepEqual(
      asked.map(({ method, authorization, form }) => [method, authorization, form]),
      Array.from({ length: asked.length }, () => ['GET', '', '']),
    );
    assertCredentialsStay(ledger, { secrets: ['my-identity', 'my-secret'], hosts: [PRIVATE] });
    await standin.setFaults([]);
    const answer = await pull(daemon, `${PRIVATE}/team/app:v`, { headers: registryAuth(identity) });
    assert.equal(answer.error, '');
  },
);
