import { test } from 'node:test';
import { checkFilePort } from './file-steps.conformance.ts';
import { PLAIN_FILES } from './file-steps.ts';

test('steps by node alone: in order, exact modes, the first failure ends it', async () => {
  await checkFilePort(PLAIN_FILES);
});
