import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LaunchPlan } from '../launch-plan.ts';
import { ExecPlans } from './exec-plans.ts';

const planOf = (name: string): LaunchPlan => ({
  before: [{ op: 'hostname', name }],
  parent: [],
  child: [],
});

test('the latest plans are kept, no more of them, and no large ones', () => {
  const plans = new ExecPlans();
  let made = 0;
  const get = (key: string) =>
    plans.get(key, () => {
      made += 1;
      return planOf(key);
    });
  const first = get('a');
  assert.equal(get('a'), first);
  assert.ok(first.bytes.includes('a'));
  get('b');
  assert.equal(get('a'), first);
  assert.equal(made, 2);
  get('c');
  get('b');
  assert.equal(made, 3);
  assert.notEqual(get('a'), first);
  const large = 'x'.repeat(20_000);
  assert.notEqual(get(large), get(large));
});
