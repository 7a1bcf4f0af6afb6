import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalDomain, isInsecure, namesNetworks, planEndpoints, splitHost } from './endpoints.ts';

const plan = (domain: string, settings: { mirrors?: string[]; insecure?: string[] } = {}): string[] =>
  planEndpoints(domain, { mirrors: [], insecure: [], ...settings }, { actions: 'pull' }).map((endpoint) =>
    [
      endpoint.base,
      endpoint.isMirror ? 'mirror' : 'origin',
      ...(endpoint.skipVerify ? ['unverified'] : []),
      ...(endpoint.takesCredentials ? ['credentials'] : []),
      ...Object.entries(endpoint.query).map(([key, value]) => `${key}=${value}`),
    ].join(' '),
  );

test('Docker Hub is registry-1.docker.io under each of its names', () => {
  const hub = ['https://registry-1.docker.io origin credentials'];
  assert.deepEqual(plan('docker.io'), hub);
  assert.deepEqual(plan('index.docker.io'), hub);
  assert.equal(canonicalDomain('https://index.docker.io/v1/'), 'docker.io');
  assert.equal(canonicalDomain('registry.example:5000'), 'registry.example:5000');
});

test('mirrors of any registry stand before it and get no credentials', () => {
  const mirrors = ['https://m.example/', 'http://n.example:5000/cache/'];
  assert.deepEqual(plan('docker.io', { mirrors }), [
    'https://m.example mirror',
    'http://n.example:5000/cache mirror',
    'https://registry-1.docker.io origin credentials',
  ]);
  assert.deepEqual(plan('quay.example', { mirrors }), [
    'https://m.example mirror ns=quay.example',
    'http://n.example:5000/cache mirror ns=quay.example',
    'https://quay.example origin credentials',
  ]);
});

test('nothing is pushed to a mirror', () => {
  const settings = { mirrors: ['https://m.example/'], insecure: [] };
  const plan = planEndpoints('docker.io', settings, { actions: 'push' });
  assert.deepEqual(
    plan.map(({ base }) => base),
    ['https://registry-1.docker.io'],
  );
});

test('plain HTTP is for this host and for insecure registries alone', () => {
  const both = (host: string): string[] => [
    `https://${host} origin unverified credentials`,
    `http://${host} origin unverified credentials`,
  ];
  for (const host of ['127.0.0.1:5000', '127.8.0.1', '[::1]:5000', 'localhost:5000']) {
    assert.deepEqual(plan(host), both(host));
  }
  assert.deepEqual(plan('r.example:5000', { insecure: ['r.example:5000'] }), both('r.example:5000'));
  assert.deepEqual(plan('r.example:5000', { insecure: ['r.example'] }), both('r.example:5000'));
  assert.deepEqual(plan('10.1.2.3:5000', { insecure: ['10.0.0.0/8'] }), both('10.1.2.3:5000'));
  assert.deepEqual(plan('r.example:5001', { insecure: ['r.example:5000'] }), [
    'https://r.example:5001 origin credentials',
  ]);
});

test('a name counts by its addresses where a network is named', () => {
  assert.ok(isInsecure('r.example', ['10.0.0.0/8'], ['10.1.1.1']));
  assert.ok(!isInsecure('r.example', ['10.0.0.0/8'], ['11.1.1.1']));
  assert.ok(!isInsecure('r.example', ['10.0.0.0/99', 'x/8'], ['10.1.1.1']));
  assert.ok(namesNetworks(['a', '10.0.0.0/8']) && !namesNetworks(['a']));
  assert.deepEqual(splitHost('[::1]:5'), { host: '::1', port: '5' });
});
