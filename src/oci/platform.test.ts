import assert from 'node:assert/strict';
import { test } from 'node:test';
import { platformRuns } from './platform.ts';

test('a machine runs its own architecture, not beyond its level', () => {
  const host = { os: 'linux', architecture: 'amd64', variant: 'v3' };
  const runs = (architecture: string, variant = ''): boolean =>
    platformRuns(host, { os: 'linux', architecture, variant });
  assert.deepEqual(
    [runs('amd64'), runs('x86_64'), runs('amd64', 'v3'), runs('amd64', 'v4'), runs('arm64')],
    [true, true, true, false, false],
  );
  assert.equal(
    platformRuns({ os: 'linux', architecture: 'arm64' }, { os: 'linux', architecture: 'arm' }),
    true,
  );
});
