import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DOCKER_REGISTRY_FAILURES, DOCKER_REGISTRY_SKIPS } from './docker-registry-differences.ts';
import { mainSuite } from './main-suite.ts';
import { forget, hasDockerRegistry, scratch, startDockerRegistry } from './registries.ts';
import { v1Suite } from './v1-suite.ts';
import { readReference, type Verdict } from './verdicts.ts';

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
    const verdictOf = (id: string): Verdict => {
      if (Object.hasOwn(DOCKER_REGISTRY_FAILURES, id)) return 'failure';
      return Object.hasOwn(DOCKER_REGISTRY_SKIPS, id) ? 'skipped' : 'passed';
    };
    const found = cases.map(({ id, verdict }) => `${verdict}: ${id}`);
    const known = reference.v1_1_1.tests.map(({ id }) => `${verdictOf(id)}: ${id}`);
    assert.deepEqual(found.sort(), known.sort());
    const listed = [...Object.keys(DOCKER_REGISTRY_FAILURES), ...Object.keys(DOCKER_REGISTRY_SKIPS)];
    const notPassed = cases.filter(({ verdict }) => verdict !== 'passed').map(({ id }) => id);
    assert.deepEqual(notPassed.sort(), listed.sort());
  });

  await t.test('main: every id, verdict by verdict', async () => {
    const table = (await mainSuite(running.registry, 'main')).table();
    const recorded = Object.fromEntries(reference.main.tests.map(({ id, dev }) => [id, dev.reference]));
    assert.deepEqual(Object.fromEntries(table), recorded);
  });
});
