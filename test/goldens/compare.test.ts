import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareGroups, judge, type Result } from './compare.ts';
import { normalize } from './normalize.ts';

const result = (id: string, stdout: string): Result => ({ id, cmd: 'docker x', exit: 0, stdout, stderr: '' });

test('a different output, a missing case and an accepted difference are told apart', () => {
  const recorded = [result('run/a', '1'), result('run/b', '1'), result('run/c', '1'), result('run/d', '1')];
  const results = new Map(
    [result('run/a', '1'), result('run/b', '2'), result('run/c', '2')].map((r) => [r.id, r]),
  );
  const [count] = compareGroups({
    recorded,
    results,
    notComparable: new Set<string>(),
    accepted: { 'run/c': 'reason' },
    groups: ['run'],
  });
  assert.equal(count?.equal, 1);
  assert.equal(count?.accepted, 1);
  assert.deepEqual(
    count?.different.map((d) => d.id),
    ['run/b', 'run/d'],
  );
  assert.equal(judge([count], { run: 50 }).length, 2);
});

test('ids, times and roots are normalised, zero times are not', () => {
  const options = { kinds: [], dataRoot: '/d/root', execRoot: '/d/exec', dockerHost: 'unix:///d/x.sock' };
  const text = `/d/root/containers/${'ab1'.repeat(21)}a 2026-01-02T03:04:05.123Z 0001-01-01T00:00:00Z Up 3 seconds`;
  assert.equal(
    normalize(text, options),
    '/var/lib/docker/containers/<id64> <time> 0001-01-01T00:00:00Z Up <dur>',
  );
});
