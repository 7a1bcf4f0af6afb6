import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EMPTY_DEFAULTS, type ImageDefaults } from '#oci/image-config.ts';
import { mergeDefaults } from './commit.ts';

const CONTAINER: ImageDefaults = {
  ...EMPTY_DEFAULTS,
  user: 'u',
  env: ['A=1', 'B=2'],
  cmd: ['run'],
  entrypoint: ['/init'],
  exposedPorts: ['80/tcp'],
  volumes: ['/v'],
  labels: { a: '1', b: '2' },
  workingDir: '/w',
  stopSignal: 'SIGQUIT',
  healthcheck: {
    test: ['CMD', 'x'],
    intervalNs: 5,
    timeoutNs: 6,
    startPeriodNs: 7,
    startIntervalNs: 8,
    retries: 9,
  },
};

test('what a request leaves out comes from the container', () => {
  assert.deepEqual(mergeDefaults(EMPTY_DEFAULTS, CONTAINER), CONTAINER);
  assert.deepEqual(mergeDefaults(CONTAINER, CONTAINER), CONTAINER);
  const without = mergeDefaults({ ...EMPTY_DEFAULTS, env: [] }, { ...CONTAINER, env: [] });
  assert.equal(without.env, null);
});

test('what it has is kept, lists are joined', () => {
  const own: ImageDefaults = {
    ...EMPTY_DEFAULTS,
    env: ['B=3', 'C=4'],
    exposedPorts: ['81/tcp', '80/tcp'],
    labels: { b: '3' },
    user: 'v',
    healthcheck: { ...CONTAINER.healthcheck, test: [], intervalNs: 50 } as ImageDefaults['healthcheck'],
  };
  const merged = mergeDefaults(own, CONTAINER);
  assert.deepEqual(merged.env, ['B=3', 'C=4', 'A=1']);
  assert.deepEqual(merged.exposedPorts, ['81/tcp', '80/tcp']);
  assert.deepEqual(merged.labels, { a: '1', b: '3' });
  assert.equal(merged.user, 'v');
  assert.deepEqual([merged.healthcheck?.test, merged.healthcheck?.intervalNs], [['CMD', 'x'], 50]);
});

test('a command without an entrypoint stays as it is; an entrypoint alone takes no command', () => {
  const withCommand = mergeDefaults({ ...EMPTY_DEFAULTS, cmd: ['y'] }, CONTAINER);
  assert.deepEqual([withCommand.entrypoint, withCommand.cmd], [['/init'], ['y']]);
  const withEntrypoint = mergeDefaults({ ...EMPTY_DEFAULTS, entrypoint: ['/e'] }, CONTAINER);
  assert.deepEqual([withEntrypoint.entrypoint, withEntrypoint.cmd], [['/e'], null]);
});
