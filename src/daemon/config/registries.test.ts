import assert from 'node:assert/strict';
import { test } from 'node:test';
import { registryInfo, registrySettings, shownProxy } from './registries.ts';

test('what nothing says: three downloads, five uploads, five attempts, no proxy', () => {
  assert.deepEqual(registrySettings(new Map(), {}), {
    mirrors: [],
    insecure: [],
    certsDirs: ['/etc/gantry/certs.d', '/etc/docker/certs.d'],
    proxy: { http: '', https: '', no: '' },
    maxDownloads: 3,
    maxUploads: 5,
    tries: 5,
  });
});

test('mirrors once each, insecure registries without a scheme, zero without bound', () => {
  const settings = registrySettings(
    new Map<string, string[] | number>([
      ['registry-mirrors', ['https://m.example', 'https://m.example/', 'http://n.example/x']],
      ['insecure-registries', ['http://r.example:5000', '10.0.0.0/8']],
      ['max-concurrent-downloads', 0],
      ['max-download-attempts', 2],
    ]),
    {},
  );
  assert.deepEqual(settings.mirrors, ['https://m.example/', 'http://n.example/x/']);
  assert.deepEqual(settings.insecure, ['r.example:5000', '10.0.0.0/8']);
  assert.deepEqual([settings.maxDownloads, settings.tries], [Infinity, 2]);
  assert.deepEqual(registryInfo(settings), {
    IndexConfigs: {
      'docker.io': { Name: 'docker.io', Mirrors: settings.mirrors, Secure: true, Official: true },
      'r.example:5000': { Name: 'r.example:5000', Mirrors: [], Secure: false, Official: false },
    },
    InsecureRegistryCIDRs: ['10.0.0.0/8', '::1/128', '127.0.0.0/8'],
    Mirrors: settings.mirrors,
  });
});

test('proxies: the flag, then the file, then the environment', () => {
  const environment = { HTTP_PROXY: 'http://env:1', https_proxy: 'http://env:2', NO_PROXY: 'env' };
  const values = new Map<string, string | Record<string, string>>([
    ['--http-proxy', 'http://flag:1'],
    ['proxies', { 'http-proxy': 'http://file:1', 'no-proxy': 'file' }],
  ]);
  assert.deepEqual(registrySettings(values, environment).proxy, {
    http: 'http://flag:1',
    https: 'http://env:2',
    no: 'file',
  });
  assert.equal(shownProxy('http://user:secret@p.example:1'), 'http://xxxxx:xxxxx@p.example:1');
  for (const user of ['token', 'user:a@b', 'user:a/b', 'user:'])
    assert.equal(shownProxy(`http://${user}@p.example:1`), 'http://xxxxx:xxxxx@p.example:1');
  assert.equal(shownProxy('user:secret@p.example:1'), 'xxxxx:xxxxx@p.example:1');
  assert.equal(shownProxy('http://p.example:1'), 'http://p.example:1');
});
