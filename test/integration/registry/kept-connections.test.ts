import assert from 'node:assert/strict';
import { test } from 'node:test';
import { registry, repository } from './client-fixture.ts';

test('a connection that serves many requests gathers no listeners', async (t) => {
  const warnings: Error[] = [];
  const hear = (warning: Error): void => void warnings.push(warning);
  process.on('warning', hear);
  t.after(() => process.off('warning', hear));
  const one = await registry(t);
  one.addManifest('v1', '{"a":1}');
  const repo = repository(t, one.host);
  for (let i = 0; i < 30; i++) await repo.manifest('v1');
  // Warnings come in a later turn.
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(warnings.map(String), []);
});
