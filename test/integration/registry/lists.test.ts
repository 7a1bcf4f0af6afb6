import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '#base/limits.ts';
import type { Digest } from '#oci/digest.ts';
import { client, collect, NEVER, registry, repository } from './client-fixture.ts';
import { digestOf, type Manner } from './small-registry.ts';

const pages: Manner = ({ url, response }) => {
  if (!url.pathname.endsWith('/tags/list')) return false;
  const last = Number(url.searchParams.get('last') ?? 0);
  const tags = [`v${last + 1}`, `v${last + 2}`];
  if (last < 4) response.setHeader('link', `<${url.pathname}?last=${last + 2}>; rel="next"`);
  if (last === 4) response.setHeader('link', '<http://elsewhere.example/v2/x/tags/list>; rel="next"');
  response.end(JSON.stringify({ name: 'team/app', tags }));
  return true;
};

test('tags over pages, of one origin, at most LIMITS.tagPages of LIMITS.tagPageBytes', async (t) => {
  const one = await registry(t, pages);
  const found = await collect(repository(t, one.host).tags(NEVER));
  assert.deepEqual(found, ['v1', 'v2', 'v3', 'v4', 'v5', 'v6']);
  assert.ok(LIMITS.tagPages >= found.length);
  one.manners = [
    ({ response }) => {
      response.end(`{"tags":["${'x'.repeat(LIMITS.tagPageBytes)}"]}`);
      return true;
    },
  ];
  await assert.rejects(collect(repository(t, one.host).tags(NEVER)), /is too large/);
  one.manners = [
    ({ response, url }) => {
      response.setHeader('link', `<${url.pathname}>; rel=next`);
      response.end('{"tags":["v"]}');
      return true;
    },
  ];
  const circle = await collect(repository(t, one.host).tags(NEVER));
  assert.ok(circle.length <= 3, 'a page that names itself is the last one');
});

test('pages and results that would stop everybody while they are parsed are refused', async (t) => {
  const values = '0,'.repeat(LIMITS.listValues);
  const one = await registry(t, ({ response }) => {
    response.end(`{"tags":[${values}0],"manifests":[${values}0],"results":[${values}0]}`);
    return true;
  });
  const digest = digestOf(Buffer.from('subject')) as Digest;
  const tooMany = /JSON of more than \d+ values/;
  await assert.rejects(collect(repository(t, one.host).tags(NEVER)), tooMany);
  await assert.rejects(repository(t, one.host).referrers(digest, NEVER), tooMany);
  const query = { term: 'x', limit: 5, credentials: null };
  await assert.rejects(client(t).search(one.host, query), tooMany);
});

test('referrers, by the list and by the tag of older registries', async (t) => {
  const digest = digestOf(Buffer.from('subject')) as Digest;
  const descriptor = { mediaType: 'application/x', digest: digestOf(Buffer.from('r')), size: 3 };
  const index = JSON.stringify({ schemaVersion: 2, manifests: [descriptor] });
  const one = await registry(t);
  assert.deepEqual(await repository(t, one.host).referrers(digest, NEVER), []);
  one.addManifest(digest.replace(':', '-'), index);
  assert.equal((await repository(t, one.host).referrers(digest, NEVER))[0]?.digest, descriptor.digest);
  one.manifests.clear();
  one.manners = [
    ({ response, url }) => {
      if (url.pathname !== `/v2/team/app/referrers/${digest}`) return false;
      response.end(index);
      return true;
    },
  ];
  assert.equal((await repository(t, one.host).referrers(digest, NEVER)).length, 1);
});

test('referrers without end: so many entries of so many pages, until somebody ends it', async (t) => {
  const digest = digestOf(Buffer.from('subject')) as Digest;
  const descriptor = { mediaType: 'application/x', digest, size: 3 };
  const one = await registry(t);
  let perPage = 1000;
  let pages = 0;
  one.manners = [
    ({ response, url }) => {
      response.setHeader('link', `<${url.pathname}?last=${pages++}>; rel=next`);
      response.end(JSON.stringify({ manifests: Array.from({ length: perPage }, () => descriptor) }));
      return true;
    },
  ];
  const found = await repository(t, one.host).referrers(digest, NEVER);
  assert.equal(found.length, LIMITS.descriptorsPerManifest);
  assert.equal(pages, 5);
  [perPage, pages] = [0, 0];
  assert.deepEqual(await repository(t, one.host).referrers(digest, NEVER), []);
  assert.equal(pages, LIMITS.referrersPages);
  const stop = new AbortController();
  one.manners = [() => (stop.abort(new Error('enough')), true)];
  await assert.rejects(repository(t, one.host).referrers(digest, stop.signal), /enough/);
});

test('search: results, refusals, at most LIMITS.searchBytes, and nobody there', async (t) => {
  const results = [{ name: 'team/x', description: 'd', star_count: 3, is_official: true }, 7];
  const one = await registry(t, ({ response, url }) => {
    if (url.pathname !== '/v1/search') return false;
    response.end(
      url.searchParams.get('q') === 'long' ? 'x'.repeat(LIMITS.searchBytes + 1) : JSON.stringify({ results }),
    );
    return true;
  });
  const query = { term: 'x', limit: 5, credentials: null };
  assert.deepEqual(await client(t).search(one.host, query), [
    { name: 'team/x', description: 'd', starCount: 3, isOfficial: true, isAutomated: false },
  ]);
  assert.equal(one.asked('GET', /search/)[0]?.url, '/v1/search?q=x&n=5');
  await assert.rejects(client(t).search(one.host, { ...query, term: 'long' }), /more than/);
  one.manners = [];
  await assert.rejects(client(t).search(one.host, query), { message: 'Unexpected status code 404' });
  await assert.rejects(client(t).search('127.0.0.1:1', query), {
    kind: 'invalidArgument',
    message:
      'invalid registry endpoint "http://127.0.0.1:1/v1/". HTTPS attempt: Get "https://127.0.0.1:1/v1/_ping": dial tcp 127.0.0.1:1: connect: connection refused. HTTP attempt: Get "http://127.0.0.1:1/v1/_ping": dial tcp 127.0.0.1:1: connect: connection refused',
  });
});
