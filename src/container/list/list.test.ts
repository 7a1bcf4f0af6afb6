import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ZERO_TIME } from '#base/clock.ts';
import { errorMessage } from '#base/errors.ts';
import type { ContainerRecord, RunState } from '../record.ts';
import { compileFilters } from './filters.ts';
import { humanDuration, statusText } from './status-text.ts';
import { commandText } from './summary.ts';

const STATE: RunState = {
  status: 'created',
  pid: 0,
  exitCode: 0,
  oomKilled: false,
  error: '',
  startedAt: ZERO_TIME,
  finishedAt: ZERO_TIME,
};
const NOW = Date.parse('2024-01-01T00:10:00Z');

test('durations have one unit', () => {
  const texts = [0, 1000, 59_000, 60_000, 120_000, 3_600_000, 7_200_000, 86_400_000 * 3, 86_400_000 * 20].map(
    humanDuration,
  );
  assert.deepEqual(texts, [
    'Less than a second',
    '1 second',
    '59 seconds',
    'About a minute',
    '2 minutes',
    'About an hour',
    '2 hours',
    '3 days',
    '2 weeks',
  ]);
});

test('the status column', () => {
  const at = (change: Partial<RunState>): string => statusText({ ...STATE, ...change }, NOW);
  assert.equal(at({}), 'Created');
  assert.equal(at({ status: 'running', startedAt: '2024-01-01T00:09:58Z' }), 'Up 2 seconds');
  assert.equal(at({ status: 'paused', startedAt: '2024-01-01T00:09:58Z' }), 'Up 2 seconds (Paused)');
  assert.equal(
    at({ status: 'exited', exitCode: 3, finishedAt: '2024-01-01T00:09:57Z' }),
    'Exited (3) 3 seconds ago',
  );
  assert.equal(
    at({ status: 'restarting', exitCode: 1, finishedAt: '2024-01-01T00:09:59Z' }),
    'Restarting (1) 1 second ago',
  );
});

test('the command column quotes what has blanks', () => {
  assert.equal(commandText('sh', ['-c', 'exit 3']), "sh -c 'exit 3'");
  assert.equal(commandText('sh', []), 'sh');
});

function record(name: string, change: Partial<ContainerRecord> = {}): ContainerRecord {
  return {
    id: name.repeat(64).slice(0, 64),
    name,
    created: '2024-01-01T00:00:00.5Z',
    imageId: 'sha256:1',
    config: { Labels: {} },
    hostConfig: {},
    mounts: [],
    networks: { bridge: {} },
    state: STATE,
    ...change,
  } as unknown as ContainerRecord;
}

async function matching(
  filters: Record<string, string[]>,
  records: readonly ContainerRecord[],
): Promise<string[]> {
  const matches = await compileFilters(new Map(Object.entries(filters)), {
    find: (reference) => records.find((item) => item.name === reference) ?? record('none'),
    imageIds: async (name) => (name === 'busybox' ? new Set(['sha256:1']) : null),
    networkIdOf: () => '',
    portsOf: (item) => (item.name === 'a' ? [{ PrivatePort: 80, PublicPort: 18080, Type: 'tcp' }] : []),
  });
  return records.filter(matches).map((item) => item.name);
}

test('filters choose as the reference does', async () => {
  const all = [
    record('a', { config: { Labels: { grp: 'x' } } as unknown as ContainerRecord['config'] }),
    record('b', { created: '2024-01-01T00:00:00.55Z', state: { ...STATE, status: 'exited', exitCode: 3 } }),
  ];
  assert.deepEqual(await matching({ label: ['grp'] }, all), ['a']);
  assert.deepEqual(await matching({ label: ['grp=y'] }, all), []);
  assert.deepEqual(await matching({ name: ['^b$'] }, all), ['b']);
  assert.deepEqual(await matching({ name: ['^/a'] }, all), ['a']);
  assert.deepEqual(await matching({ exited: ['3'] }, all), ['b']);
  assert.deepEqual(await matching({ status: ['created'] }, all), ['a']);
  assert.deepEqual(await matching({ since: ['a'] }, all), ['b']);
  assert.deepEqual(await matching({ before: ['b'] }, all), ['a']);
  assert.deepEqual(await matching({ ancestor: ['busybox'] }, all), ['a', 'b']);
  assert.deepEqual(await matching({ ancestor: ['nope'] }, all), []);
  assert.deepEqual(await matching({ id: ['aaa'] }, all), ['a']);
  assert.deepEqual(await matching({ publish: ['18080'] }, all), ['a']);
  assert.deepEqual(await matching({ publish: ['80'] }, all), []);
  assert.deepEqual(await matching({ expose: ['79-81/tcp'] }, all), ['a']);
  assert.deepEqual(await matching({ expose: ['80/udp'] }, all), []);
});

test('bad filters are refused with the recorded texts', async () => {
  const refused = (filters: Record<string, string[]>): Promise<string> =>
    matching(filters, []).then(() => '', errorMessage);
  assert.equal(await refused({ nosuch: ['1'] }), "invalid filter 'nosuch'");
  assert.equal(
    await refused({ exited: ['x'] }),
    'invalid filter \'exited=x\': strconv.Atoi: parsing "x": invalid syntax',
  );
  assert.equal(
    await refused({ publish: ['x'] }),
    'error while looking up for publish x: strconv.ParseUint: parsing "x": invalid syntax',
  );
  assert.match(
    await refused({ status: ['bogus'] }),
    /^invalid filter 'status=bogus': invalid value for state \(bogus\): must be one of created, /,
  );
});
