import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kernelProblem } from './host-facts.ts';

test('kernels from 5.15 on will do; older ones are named', () => {
  for (const version of ['5.15', '5.15.0-91-generic', '6.1.0-18-amd64', '6.18.2+', '10.0.1'])
    assert.equal(kernelProblem(version), null, version);
  for (const version of ['5.14.21', '5.4.0-1', '4.19.0', '3.10.0-1160.el7.x86_64', '5.9'])
    assert.match(
      kernelProblem(version) ?? '',
      new RegExp(`^Linux 5\\.15 or newer is required, this is ${version.replaceAll('.', '\\.')}`),
    );
  assert.match(kernelProblem('unknown') ?? '', /cannot be read/);
});
