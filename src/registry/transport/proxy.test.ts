import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proxyFor, proxyProblem } from './proxy.ts';

const via = (url: string, no = ''): string | null =>
  proxyFor(new URL(url), { http: 'http://plain:1', https: 'secure:2', no });

test('by scheme; never for this host', () => {
  assert.equal(via('http://a.example/'), 'http://plain:1');
  assert.equal(via('https://a.example/'), 'http://secure:2');
  for (const url of ['http://localhost:5000/', 'http://127.1.2.3/', 'https://[::1]:1/'])
    assert.equal(via(url), null);
  assert.equal(proxyFor(new URL('https://a.example'), { http: 'x', https: '', no: '' }), null);
});

test('exceptions: names, subdomains, ports, addresses, networks', () => {
  const rows: [string, string, boolean][] = [
    ['http://a.example/', 'a.example', true],
    ['http://x.a.example/', 'a.example', true],
    ['http://xa.example/', 'a.example', false],
    ['http://a.example/', '.a.example', false],
    ['http://x.a.example/', ' .A.example ,b', true],
    ['http://x.a.example/', '*.a.example', true],
    ['http://a.example:81/', 'a.example:81', true],
    ['http://a.example/', 'a.example:81', false],
    ['https://a.example/', 'a.example:443', true],
    ['http://10.1.2.3/', '10.0.0.0/8', true],
    ['http://11.1.2.3/', '10.0.0.0/8,x/99', false],
    ['http://10.1.2.3/', '10.1.2.3', true],
    ['http://[fd00::1]/', 'fd00::/8', true],
    ['http://a.example/', '*', true],
    ['http://a.example/', '', false],
  ];
  for (const [url, no, isDirect] of rows) assert.equal(via(url, no) === null, isDirect, `${url} ${no}`);
});

test('a proxy that cannot be used is said, without what its address holds', () => {
  for (const proxy of [
    'http://p:1',
    'HTTPS://u:p%40w@p',
    'http://[fd00::1]:3128/',
    'socks5://p',
    'socks5h://p',
  ])
    assert.equal(proxyProblem(proxy), null, proxy);
  assert.equal(proxyProblem('socks4://u:secret@p:1'), 'unsupported protocol scheme "socks4"');
  for (const proxy of ['http://', 'http://u:secret%zz@p', 'http://u:secret@p:x'])
    assert.match(proxyProblem(proxy) ?? '', /^the address of the proxy [a-z ]+$/, proxy);
});
