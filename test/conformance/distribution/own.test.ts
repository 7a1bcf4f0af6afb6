import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mainSuite } from './main-suite.ts';
import { forget, scratch, startOwn } from './registries.ts';
import { v1Suite } from './v1-suite.ts';
import { readReference } from './verdicts.ts';

/** Ways that are tried only after another failed, which none does here. */
const ONLY_AFTER_FAILURE = new RegExp(
  [
    '^sha512 blobs/.*/blob-(post-only|patch-stream|patch-chunked)$',
    '^(tag-param-)?sha512/push/(blob-post-only|blob-patch-|manifest-by-tag)',
    '^tag-param-sha256/push/manifest-by-tag$',
  ].join('|'),
);

test('gantry-registry does what the distribution suites ask', async (t) => {
  const directory = scratch();
  const running = await startOwn({ directory });
  t.after(async () => {
    await running.stop();
    forget(directory);
  });
  const reference = readReference().conformance;

  await t.test('1.1: 83 specs', async () => {
    const { cases } = await v1Suite(running.registry, 'v1');
    const ids = cases.map(({ id }) => id).sort();
    assert.deepEqual(ids, reference.v1_1_1.tests.map(({ id }) => id).sort());
    const others = cases
      .filter(({ verdict }) => verdict !== 'passed')
      .map(({ id, verdict, why }) => `${verdict}: ${id}: ${why}`);
    assert.deepEqual(others, [
      'skipped: Push / Cross-Repository Blob Mount / Cross-mounting without from, and automatic content discovery disabled should return a 202: automatic content discovery',
    ]);
  });

  await t.test('main: every id', async () => {
    const verdicts = await mainSuite(running.registry, 'main');
    const others = verdicts.cases.filter(({ verdict }) => verdict !== 'passed');
    assert.deepEqual(others, []);
    const table = verdicts.table();
    const missing = reference.main.tests
      .filter(({ id, dev }) => (table.get(id)?.['passed'] ?? 0) < dev.cases)
      .map(({ id }) => id)
      .filter((id) => !ONLY_AFTER_FAILURE.test(id));
    assert.deepEqual(missing, []);
  });
});
