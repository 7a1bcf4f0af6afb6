import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { factsOfRepository, problemsOf, renderPage, type Evidence, type Facts } from './gen-compatibility.ts';
import { ROOT } from './paths.ts';

test('the evidence fits the routes and the files, and the page is what it says', async () => {
  const facts = factsOfRepository();
  assert.deepEqual(await problemsOf(facts), []);
  const page = readFileSync(join(ROOT, 'docs/api/compatibility.md'), 'utf8');
  assert.equal(page, await renderPage(facts), 'run node tools/gen-compatibility.ts');
});

const made = (operations: Evidence['operations']): Facts => ({
  endpoints: [
    { m: 'GET', path: '/a', op: 'A', tag: 'T', since: '1.24' },
    { m: 'GET', path: '/b', op: 'B', tag: 'T' },
  ],
  evidence: { operations, passed: [], recorded: { date: '', system: '', groups: {} } },
  steps: new Map(),
  answer: async ({ op }) => (op === 'A' ? 'served' : 501),
  hasTest: (name) => name === 'there.test.ts',
});

test('claims that do not hold are found', async () => {
  const there = ['there.test.ts'];
  assert.deepEqual(await problemsOf(made({ A: { status: 'works', tests: there } })), []);
  const wrong: readonly (readonly [Evidence['operations'], RegExp])[] = [
    [{}, /A: served, but without an entry/],
    [
      { A: { status: 'works', tests: there }, B: { status: 'works', tests: there } },
      /B: has an entry, but answers 501/,
    ],
    [{ A: { status: 'works', tests: [] } }, /A: works with 0 tests/],
    [{ A: { status: 'partly', tests: there } }, /A: partly, and nothing says what/],
    [{ A: { status: 'works', tests: ['gone.test.ts'] } }, /gone\.test\.ts: no such test/],
    [{ A: { status: 'works', tests: there }, C: { status: 'works', tests: there } }, /C: no such operation/],
  ];
  for (const [operations, expected] of wrong)
    assert.match((await problemsOf(made(operations))).join('\n'), expected);
});
