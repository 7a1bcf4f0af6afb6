import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DOCKER_REGISTRY_FAILURES } from './docker-registry-differences.ts';
import { mainSuite } from './main-suite.ts';
import { forget, hasDockerRegistry, scratch, startDockerRegistry } from './registries.ts';
import { v1Suite } from './v1-suite.ts';
import { readReference } from './verdicts.ts';

/* The same tests on a registry that others wrote: what they say of it is what others recorded. */
test('docker-registry gets the verdicts that are known of it', async (t) => {
  if (!hasDockerRegistry) return t.skip('no docker-registry');
  const directory = scratch();
  const running = await startDockerRegistry(directory);
  t.after(async () => {
    await running.stop();
    forget(directory);
  });
  const reference = readReference().conformance;

  await t.test('1.1: 83 specs', async () => {
    const { cases } = await v1Suite(running.registry, 'v1');
    assert.equal(cases.length, reference.v1_1_1.tests.length);
    const failed = cases.filter(({ verdict }) => verdict === 'failure').map(({ id }) => id);
    assert.deepEqual(failed.sort(), Object.keys(DOCKER_REGISTRY_FAILURES).sort());
  });

  await t.test('main: every id, verdict by verdict', async () => {
    const table = (await mainSuite(running.registry, 'main')).table();
    const recorded = Object.fromEntries(reference.main.tests.map(({ id, dev }) => [id, dev.reference]));
    assert.deepEqual(Object.fromEntries(table), recorded);
  });
});
