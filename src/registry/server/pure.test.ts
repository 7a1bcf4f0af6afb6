import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '#base/limits.ts';
import { Fault } from './fault.ts';
import { parseManifestDocument } from './manifest-document.ts';
import { pageOf } from './paging.ts';
import { parseChunkRange, parseRange } from './ranges.ts';
import { routeOf } from './route.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const SESSION = '01234567-89ab-4def-8123-456789abcdef';

function faultOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof Fault) return `${error.status} ${error.code}`;
    throw error;
  }
  return 'none';
}

test('paths are matched whole', () => {
  const kinds: readonly (readonly [string, string])[] = [
    ['/v2/', 'root'],
    ['/v2/_catalog', 'catalog'],
    ['/v1/search', 'search'],
    ['/v2/a/tags/list', 'tags'],
    ['/v2/a/b-c__d/e.f/manifests/latest', 'manifest'],
    [`/v2/a/manifests/${DIGEST}`, 'manifest'],
    [`/v2/a/blobs/${DIGEST}`, 'blob'],
    ['/v2/a/blobs/uploads/', 'uploads'],
    ['/v2/a/blobs/uploads', 'uploads'],
    [`/v2/a/blobs/uploads/${SESSION}`, 'upload'],
    [`/v2/manifests/manifests/blobs/manifests/tag`, 'manifest'],
    [`/v2/a/referrers/${DIGEST}`, 'referrers'],
  ];
  for (const [path, kind] of kinds) assert.equal(routeOf(path)?.kind, kind, path);
  for (const path of ['/', '/v2/a', '/v3/', '/v2/a/manifests/x/y', '/etc/passwd', '/v2/a/blobs'])
    assert.equal(routeOf(path), null, path);
});

test('a media type has a length', () => {
  const bytes = Buffer.from(`{"schemaVersion":2,"manifests":[]}`);
  const type = (length: number): string => `x/${'y'.repeat(length - 2)}`;
  assert.equal(
    parseManifestDocument(bytes, type(LIMITS.mediaTypeBytes)).mediaType.length,
    LIMITS.mediaTypeBytes,
  );
  assert.equal(
    faultOf(() => parseManifestDocument(bytes, type(LIMITS.mediaTypeBytes + 1))),
    '400 MANIFEST_INVALID',
  );
});

test('no name of a client is a path', () => {
  const long = 'a'.repeat(LIMITS.repositoryNameBytes + 1);
  for (const name of ['..', '../..', 'a/../b', 'A', 'a//b', '/etc', 'a/', '-a', 'a\0b', 'a b', long])
    assert.equal(
      faultOf(() => routeOf(`/v2/${name}/tags/list`)),
      '400 NAME_INVALID',
      name.slice(0, 20),
    );
  for (const reference of [
    '..',
    '.x',
    'sha256:..',
    `sha256:${'A'.repeat(64)}`,
    `md5:${'a'.repeat(32)}`,
    'x'.repeat(129),
  ])
    assert.match(
      faultOf(() => routeOf(`/v2/a/manifests/${reference}`)),
      /^400 (TAG|DIGEST)_INVALID$/,
      reference,
    );
  assert.equal(
    faultOf(() => routeOf('/v2/a/blobs/..')),
    '400 DIGEST_INVALID',
  );
  assert.equal(
    faultOf(() => routeOf('/v2/a/blobs/uploads/..')),
    '404 BLOB_UPLOAD_UNKNOWN',
  );
});

test('ranges of bytes', () => {
  assert.deepEqual(parseRange('bytes=0-9', 100), { start: 0, end: 9 });
  assert.deepEqual(parseRange('bytes=90-', 100), { start: 90, end: 99 });
  assert.deepEqual(parseRange('bytes=-10', 100), { start: 90, end: 99 });
  assert.deepEqual(parseRange('bytes=-1000', 100), { start: 0, end: 99 });
  assert.deepEqual(parseRange(`bytes=0-${'9'.repeat(400)}`, 100), { start: 0, end: 99 });
  for (const header of ['bytes=100-', 'bytes=9-0', 'bytes=-0', `bytes=${'9'.repeat(400)}-`])
    assert.equal(parseRange(header, 100), 'unsatisfiable', header.slice(0, 20));
  for (const header of [undefined, '', 'lines=0-1', 'bytes=0-1,2-3', 'bytes=-', 'bytes=a-b'])
    assert.equal(parseRange(header, 100), 'all', String(header));
  assert.equal(parseRange('bytes=0-', 0), 'unsatisfiable');
  assert.deepEqual(parseChunkRange('0-9'), { start: 0, end: 9 });
  assert.deepEqual(parseChunkRange('bytes 0-9/*'), { start: 0, end: 9 });
  assert.equal(parseChunkRange(undefined), null);
  for (const header of ['', '9-0', 'x', '0', `0-${'9'.repeat(16)}`])
    assert.equal(parseChunkRange(header), 'bad', header);
});

test('pages of a list', () => {
  const items = Array.from({ length: LIMITS.listPage + 10 }, (_, n) => String(n).padStart(6, '0'));
  const all = pageOf(items, '/p', new URLSearchParams());
  assert.equal(all.items.length, LIMITS.listPage);
  assert.equal(all.link, `</p?n=${LIMITS.listPage}&last=${items[LIMITS.listPage - 1]}>; rel="next"`);
  const rest = pageOf(items, '/p', new URLSearchParams({ last: items[LIMITS.listPage - 1] ?? '' }));
  assert.deepEqual(rest, { items: items.slice(LIMITS.listPage), link: null });
  assert.deepEqual(pageOf(['a', 'c'], '/p', new URLSearchParams('n=0')), { items: [], link: null });
  assert.deepEqual(pageOf(['a', 'c'], '/p', new URLSearchParams('last=b')).items, ['c']);
  assert.equal(pageOf(['a', 'c'], '/p', new URLSearchParams('n=1&last=x')).items.length, 0);
  for (const n of ['-1', 'x', '1e3', '9'.repeat(20)])
    assert.equal(
      faultOf(() => pageOf(items, '/p', new URLSearchParams({ n }))),
      '400 PAGINATION_NUMBER_INVALID',
      n,
    );
});

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const descriptor = { mediaType: 'x/y', digest: DIGEST, size: 3 };

test('manifests: what names what', () => {
  const parse = (document: object, type?: string): ReturnType<typeof parseManifestDocument> =>
    parseManifestDocument(Buffer.from(JSON.stringify(document)), type);
  const image = parse({ config: descriptor, layers: [descriptor], subject: descriptor }, MANIFEST);
  assert.equal(image.names.length, 2);
  assert.equal(image.subject, DIGEST);
  assert.equal(image.artifactType, 'x/y');
  const elsewhere = { ...descriptor, urls: ['http://example.com/'] };
  assert.equal(parse({ config: descriptor, layers: [elsewhere] }).names.length, 1);
  assert.equal(parse({ manifests: [descriptor] }).names[0]?.isManifest, true);
});

test('manifests that are refused', () => {
  const refused = (text: string, type?: string): void =>
    assert.equal(
      faultOf(() => parseManifestDocument(Buffer.from(text), type)),
      '400 MANIFEST_INVALID',
      text.slice(0, 60),
    );
  const json = (document: object, type?: string): void => refused(JSON.stringify(document), type);
  const many = Array.from({ length: LIMITS.descriptorsPerManifest + 1 }, () => descriptor);
  for (const text of ['', 'null', '[]', '{', '\xff', '['.repeat(1000), '{}']) refused(text);
  json({ config: descriptor, layers: [], manifests: [] });
  json({ config: descriptor, layers: many });
  json({ manifests: many });
  json({ config: { ...descriptor, digest: '../../etc/passwd' }, layers: [] });
  json({ config: { ...descriptor, size: -1 }, layers: [] });
  json({ config: descriptor, layers: {} });
  json({ config: descriptor, layers: [], mediaType: MANIFEST }, 'application/json');
  json({ manifests: [] }, MANIFEST);
  json({ config: descriptor, layers: [] }, 'application/vnd.docker.distribution.manifest.v1+prettyjws');
  json({ config: descriptor, layers: [] }, 'no type\r\nx: y');
});
