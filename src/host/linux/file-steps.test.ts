import { test } from 'node:test';
import { checkFilePort } from '#base/file-steps.conformance.ts';
import { createKernel } from '../real.ts';

test('steps in one batch: in order, exact modes, the first failure ends it', async () => {
  await checkFilePort(createKernel().files);
});
