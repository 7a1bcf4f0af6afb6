import assert from 'node:assert/strict';
import { parseChallenges } from '../../src/registry/auth/challenge.ts';
import { readRefusal } from '../../src/registry/client/answer-error.ts';
import { nextPage, parseLink } from '../../src/registry/client/paging.ts';
import { parseContentRange, parseUploadRange } from '../../src/registry/client/ranges.ts';
import { parseChunkRange, parseRange } from '../../src/registry/server/ranges.ts';
import { nextHop } from '../../src/registry/transport/redirects.ts';
import { mutate } from './mutate.ts';
import { type Chance, fuzz } from './rounds.ts';

function changed(text: string, chance: Chance): string {
  return mutate(Buffer.from(text), chance).toString('latin1');
}

const CHALLENGES = [
  'Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push"',
  'Basic realm="a \\"quoted\\" realm", Bearer realm=x , Negotiate',
  'Digest qop="auth, auth-int", nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="x"',
];

fuzz('WWW-Authenticate: an end, names without blanks', { short: 4000 }, (chance) => {
  const headers = Array.from({ length: 1 + chance.below(3) }, () => changed(chance.pick(CHALLENGES), chance));
  for (const { scheme, parameters } of parseChallenges(headers)) {
    assert.match(scheme, /^[^\s",=]+$/);
    for (const name of parameters.keys()) assert.match(name, /^[^\s",=]+$/);
  }
});

const LINKS = [
  '</v2/a/tags/list?n=5&last=b>; rel="next"',
  '<https://r.example/x>; rel="prev"; title="a, \\"b\\"", <y?z>; rel=next',
];
const PAGE = new URL('https://r.example:5000/v2/a/tags/list');

fuzz('Link: the next page never leaves the registry', { short: 4000 }, (chance) => {
  const header = changed(chance.pick(LINKS), chance);
  const link = parseLink(header, 'next');
  if (link !== null) assert.ok(header.includes(`<${link}>`));
  const next = nextPage(PAGE, header);
  if (next !== null) assert.equal(next.origin, PAGE.origin);
});

fuzz('ranges: whole numbers in order', { short: 4000 }, (chance) => {
  const range = parseContentRange(changed('bytes 1000-1999/20000', chance));
  if (range !== null) {
    assert.ok(Number.isSafeInteger(range.start) && range.start <= range.end);
    assert.ok(range.totalBytes === null || range.end < range.totalBytes);
  }
  const upload = parseUploadRange(changed('bytes=0-1999', chance));
  assert.ok(upload === null || (Number.isSafeInteger(upload) && upload >= 0));
});

const WANTED = ['bytes=0-1999', 'bytes=1000-', 'bytes=-10', 'bytes= 5 - 7 ', 'bytes=0-1,2-3', 'lines=0-1'];

fuzz('Range at our registry: bytes of the blob, never others', { short: 4000 }, (chance) => {
  const sizeBytes = chance.flip(0.1) ? 0 : chance.below(3000);
  const header = chance.flip(0.1) ? chance.pick(WANTED) : changed(chance.pick(WANTED), chance);
  const range = parseRange(header, sizeBytes);
  // Everything is the answer to what is not one range of bytes.
  const isOne = /^bytes=\s*(\d+\s*-\s*\d*|-\s*\d+)\s*$/.test(header);
  assert.equal(range === 'all', !isOne, header);
  if (typeof range === 'string') return;
  const [, first = '', last = ''] = /(\d*)\s*-\s*(\d*)/.exec(header) ?? [];
  assert.ok(Number.isSafeInteger(range.start) && Number.isSafeInteger(range.end), header);
  assert.ok(0 <= range.start && range.start <= range.end && range.end < sizeBytes, header);
  if (first !== '') assert.equal(range.start, Number(first), header);
  else assert.equal(range.end - range.start + 1, Math.min(Number(last), sizeBytes), header);
  if (first !== '' && last !== '') assert.equal(range.end, Math.min(Number(last), sizeBytes - 1), header);
});

const CHUNKS = ['0-1999', 'bytes 1000-1999/20000', 'bytes=7-7/*', '100000000000000-999999999999999'];

fuzz('Content-Range of chunks: what was said, in order, or bad', { short: 4000 }, (chance) => {
  const header = chance.flip(0.1) ? chance.pick(CHUNKS) : changed(chance.pick(CHUNKS), chance);
  const range = parseChunkRange(header);
  assert.notEqual(range, null);
  if (range === null || range === 'bad') {
    assert.ok(
      !/^\d{1,15}-\d{1,15}$/.test(header) || Number(header.split('-')[1]) < Number.parseInt(header, 10),
    );
    return;
  }
  const [, first, last] = /(\d+)-(\d+)/.exec(header) ?? [];
  assert.deepEqual([range.start, range.end], [Number(first), Number(last)], header);
  assert.ok(Number.isSafeInteger(range.end) && range.start <= range.end, header);
});

fuzz('Location: Authorization stays with its origin', { short: 2000 }, (chance) => {
  const location = changed(chance.pick(['https://r.example:5000/x', 'http://s.example/y', '//t/z']), chance);
  const from = { method: 'GET', status: 307, url: PAGE, location, hasSecretBody: chance.flip() };
  const hop = nextHop(from, { allowPlain: chance.flip() });
  if (typeof hop === 'string') return;
  assert.ok(!from.hasSecretBody || hop.url.origin === PAGE.origin);
  assert.ok(!hop.keepsAuthorization || hop.url.origin === PAGE.origin);
  assert.equal(hop.url.username + hop.url.password, '');
});

const BODIES = [
  '{"errors":[{"code":"DENIED","message":"no","detail":{}},{"code":"UNKNOWN"}]}',
  '{"details":"incorrect username or password"}',
];

fuzz('bodies of refusals: always a text', { short: 2000 }, (chance) => {
  const { text } = readRefusal(
    400 + chance.below(100),
    'application/json',
    changed(chance.pick(BODIES), chance),
  );
  assert.notEqual(text, '');
});
