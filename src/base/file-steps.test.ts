import { test } from 'node:test';
import { checkCarryOut } from './file-steps.conformance.ts';
import { carryOutSteps } from './file-steps.ts';

test('steps by node alone: in order, exact modes, the first failure ends it', async () => {
  await checkCarryOut(carryOutSteps);
});
