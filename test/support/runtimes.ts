/** Which runtime starts the containers of tests: `GANTRY_TEST_RUNTIME=runc npm test -- test/e2e`. */
import { OWN_RUNTIME, type RuntimeDefinition, Runtimes } from '#runtime/runtimes.ts';

/** '': the default, our own launcher. */
export const TEST_RUNTIME = process.env.GANTRY_TEST_RUNTIME ?? '';
export const USES_OWN_RUNTIME = TEST_RUNTIME === '' || TEST_RUNTIME === OWN_RUNTIME;

const RUNC = '/usr/sbin/runc';

/** With definitions the OCI runtime `runc` of them is the default. */
export function testRuntimes(definitions?: Record<string, RuntimeDefinition>): Runtimes {
  const given = { runc: { path: RUNC } };
  const defaultName = definitions === undefined ? TEST_RUNTIME || OWN_RUNTIME : 'runc';
  return new Runtimes({ definitions: { ...given, ...definitions }, defaultName, ownPath: 'gantry-oci' });
}
