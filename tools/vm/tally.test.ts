import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandOf, planOf } from './plan.ts';
import { Tally } from './tally.ts';

const LIFE = 'test/vm/life.test.ts';

test('results of the machine are counted by file, and told as rows of a table', () => {
  const printed: string[] = [];
  const tally = new Tally((line) => printed.push(line));
  const tell = (outcome: string, file: string, reason = ''): unknown =>
    tally.take(JSON.stringify({ outcome, name: 'n', reason, file: `/mnt/${file}`, durationMs: 1500 }));
  tell('passed', LIFE);
  tell('failed', LIFE, 'why');
  tell('skipped', LIFE, 'no crun');
  tell('passed', 'test/integration/storage/unpack.test.ts');
  tell('skipped', 'test/integration/storage/unpack.test.ts', 'no xz');
  tell('skipped', 'test/integration/storage/unpack.test.ts', 'no such reason');
  assert.equal(tally.take('6.1.0'), undefined);
  assert.equal(tally.take('cut-power'), 'cut');
  assert.deepEqual([tally.count('passed'), tally.count('failed'), tally.count('skipped')], [2, 3, 1]);
  assert.ok(tally.has(LIFE));
  assert.deepEqual(printed.slice(0, 3), ['ok   n', 'FAIL n', '     why']);
  assert.deepEqual(tally.tables('2026-01-01', 'abc').split('\n').slice(2), [
    `| \`${LIFE}\` | 1 of 3 | 5 s |`,
    '| `test/integration/storage/unpack.test.ts` | 1 of 2, 1 skipped | 5 s |',
    '',
    '| 2026-01-01 | `abc` | life, integration/storage/unpack | 2 of 5, 1 skipped |',
  ]);
});

test('a name is a part of a name in test/vm or a path; power is cut when nothing is named', () => {
  assert.deepEqual(planOf(['life']), { groups: [[LIFE]], cutsPower: false });
  const { groups } = planOf(['test/integration/storage', 'tools/vm/tally.test.ts']);
  assert.equal(groups.length, 2);
  assert.ok(groups[0]?.includes('test/integration/storage/unpack.test.ts'));
  assert.throws(() => planOf(['no-such']), /no test in test\/vm/);
  assert.throws(() => planOf(['no/such']), /no test is no\/such/);
  const all = planOf([]);
  assert.ok(all.cutsPower && all.groups[0]?.includes(LIFE));
  assert.match(commandOf(all), /after\.test\.ts; fi\n[^]*before\.ts$/);
});
