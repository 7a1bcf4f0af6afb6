import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '#base/limits.ts';
import { nextPage, parseLink } from './paging.ts';

test('the link of a relation among others', () => {
  assert.equal(parseLink('</v2/a/tags/list?last=b>; rel="next"', 'next'), '/v2/a/tags/list?last=b');
  assert.equal(parseLink('<a>; rel="prev", <b>; title="x, <c>; rel=next" ; rel=next', 'next'), 'b');
  assert.equal(parseLink('<a>;rel="first Next"', 'next'), 'a');
  for (const header of ['', '<a', '<a>', '<a>; rel="last"', 'a; rel=next', undefined]) {
    assert.equal(parseLink(header, 'next'), null);
  }
  assert.equal(parseLink(`<${'a'.repeat(LIMITS.registryHeaderBytes)}>; rel=next`, 'next'), null);
});

test('the next page is of the same origin, whatever scheme it names', () => {
  const from = new URL('https://r.example/v2/a/tags/list');
  const next = (target: string): string | undefined => nextPage(from, `<${target}>; rel="next"`)?.href;
  assert.equal(next('?last=b'), 'https://r.example/v2/a/tags/list?last=b');
  assert.equal(next('http://r.example/v2/x'), 'https://r.example/v2/x');
  assert.equal(next('https://u:p@r.example/v2/x'), 'https://r.example/v2/x');
  assert.equal(next('https://other.example/v2/x'), undefined);
  assert.equal(next('https://'), undefined);
});
