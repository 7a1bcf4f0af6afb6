import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createKernel } from '#host/real.ts';
import { readHostFacts } from '#runtime/host-facts.ts';
import { buildRuntimeSpec, type ContainerSpec } from '#runtime/spec.ts';
import type { ExpectedStart, StartRequest } from '#runtime/task.ts';
import { StartPlans } from '../../../src/runtime/task/start-plans.ts';
import { PLAIN_INPUT } from '../../support/spec-input.ts';

const kernel = createKernel();
const ID = 'a'.repeat(64);
const directory = `/run/x/tasks/${ID}`;
const CGROUP = `/docker/${ID}`;
const open = (): never => assert.fail('nobody is joined');

function specOf(args: string[]): ContainerSpec {
  const host = readHostFacts(kernel);
  return buildRuntimeSpec({ ...PLAIN_INPUT, args, id: ID, cgroupPath: CGROUP, hostname: 'host', host });
}

function expected(spec: ContainerSpec): ExpectedStart {
  return { id: ID, spec, cgroupPath: CGROUP, terminal: false, home: '/root', ownNetwork: true };
}

function request(spec: ContainerSpec, rest: Partial<StartRequest> = {}): StartRequest {
  const { ownNetwork, ...asked } = expected(spec);
  const streams = { openStdin: false, stdinOnce: false, log: null };
  const network = ownNetwork && { netns: 5, connectNetwork: async () => undefined };
  return { ...asked, ...streams, ...network, rootfsFd: 4, ...rest };
}

test('a plan that was made ahead is the one that the start would have made', () => {
  const plans = new StartPlans(kernel);
  const spec = specOf(['true']);
  const fresh = plans.of({ request: request(spec), directory, open });
  plans.expect(expected(spec), directory);
  const ahead = plans.of({ request: request(spec), directory, open });
  assert.notEqual(ahead, fresh);
  assert.deepEqual(ahead.plan, fresh.plan);
  assert.ok(ahead.bytes.equals(fresh.bytes));
  assert.equal(ahead.filter, fresh.filter);
  assert.equal(plans.of({ request: request(spec), directory, open }), ahead, 'it is not made again');
});

test('one that was made for something else is not used', () => {
  const plans = new StartPlans(kernel);
  const spec = specOf(['true']);
  plans.expect(expected(spec), directory);
  const ahead = plans.of({ request: request(spec), directory, open });
  const other = specOf(['false']);
  assert.notDeepEqual(plans.of({ request: request(other), directory, open }).plan, ahead.plan);
  const changes: Partial<StartRequest>[] = [
    { home: '/home/else' },
    { terminal: true, consoleSize: { width: 80, height: 25 } },
    { id: 'b'.repeat(64) },
    { cgroupPath: '/else' },
    { usernsFd: 7 },
  ];
  for (const change of changes) {
    const made = plans.of({ request: request(spec, change), directory, open });
    assert.notEqual(made, ahead, JSON.stringify(change));
  }
  const { netns: _, connectNetwork: __, ...hostNetwork } = request(spec);
  assert.notEqual(plans.of({ request: hostNetwork, directory, open }), ahead);
});
