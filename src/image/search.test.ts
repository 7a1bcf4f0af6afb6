import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SearchResult } from '#registry/client.ts';
import { searchImages, splitTerm } from './search.ts';

test('a term may begin with the registry that is asked', () => {
  assert.deepEqual(splitTerm('alpine'), { index: '', term: 'alpine' });
  assert.deepEqual(splitTerm('library/alpine'), { index: '', term: 'alpine' });
  assert.deepEqual(splitTerm('team/app'), { index: '', term: 'team/app' });
  assert.deepEqual(splitTerm('localhost/app'), { index: 'localhost', term: 'app' });
  assert.deepEqual(splitTerm('127.0.0.1:5000/team/app'), { index: '127.0.0.1:5000', term: 'team/app' });
  assert.throws(() => splitTerm('https://example.com/app'), /invalid repository name/);
});

test('filters choose among what the registry found', async () => {
  const result = (name: string, starCount: number, isOfficial: boolean): SearchResult => ({
    ...{ name, starCount, isOfficial, isAutomated: false, description: '' },
  });
  const found = [result('a', 1, false), result('b', 5, true), result('c', 9, false), result('d', -1, false)];
  const registry = { search: () => Promise.resolve(found) };
  const names = async (filters: Readonly<Record<string, string>>): Promise<string> => {
    const all = new Map(Object.entries(filters).map(([key, value]) => [key, [value]]));
    const chosen = await searchImages(registry, 'x', { limit: 25, filters: all, credentials: null });
    return chosen.map(({ name }) => name).join('');
  };
  assert.equal(await names({}), 'abcd');
  assert.equal(await names({ stars: '-9' }), 'abc', 'nobody asks for fewer than none');
  assert.equal(await names({ stars: '+5' }), 'bc');
  assert.equal(await names({ stars: '5' }), 'bc');
  assert.equal(await names({ 'is-official': 'true' }), 'b');
  assert.equal(await names({ 'is-official': '0' }), 'acd');
  assert.equal(await names({ 'is-automated': 'true', stars: 'x' }), '', 'nobody is asked');
  assert.equal(await names({ 'is-automated': 'false' }), 'abcd');
  await assert.rejects(names({ nope: '1' }), /invalid filter 'nope'/);
  for (const [filters, message] of [
    [{ stars: 'x' }, `invalid filter 'stars=x': strconv.Atoi: parsing "x": invalid syntax`],
    [{ stars: 'x"y' }, `invalid filter 'stars=x"y': strconv.Atoi: parsing "x\\"y": invalid syntax`],
    [{ stars: '9'.repeat(20) }, /: strconv\.Atoi: parsing "9{20}": value out of range$/],
    [{ stars: 'x', 'is-official': 'foo' }, "invalid filter 'is-official=[foo]'"],
    [{ 'is-official': 'T' }, "invalid filter 'is-official=[T]'"],
  ] as const)
    await assert.rejects(names(filters), { message });
});
