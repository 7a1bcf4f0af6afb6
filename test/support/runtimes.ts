/** Which runtime starts the containers of tests: `GANTRY_TEST_RUNTIME=runc npm test -- test/e2e`, or crun. */
import { existsSync } from 'node:fs';
import { OWN_RUNTIME, type RuntimeDefinition, Runtimes } from '#runtime/runtimes.ts';

/** '': the default, our own launcher. */
export const TEST_RUNTIME = process.env.GANTRY_TEST_RUNTIME ?? '';
export const USES_OWN_RUNTIME = TEST_RUNTIME === '' || TEST_RUNTIME === OWN_RUNTIME;

const GIVEN = { runc: { path: '/usr/sbin/runc' }, crun: { path: '/usr/bin/crun' } };

/** For tests that want crun: why they cannot run here, or `false`. */
export const CRUN_IS_MISSING = existsSync(GIVEN.crun.path) ? false : 'no crun';

/** With definitions the OCI runtime `runc` of them is the default. */
export function testRuntimes(definitions?: Record<string, RuntimeDefinition>): Runtimes {
  const defaultName = definitions === undefined ? TEST_RUNTIME || OWN_RUNTIME : 'runc';
  return new Runtimes({ definitions: { ...GIVEN, ...definitions }, defaultName, ownPath: 'gantry-oci' });
}
