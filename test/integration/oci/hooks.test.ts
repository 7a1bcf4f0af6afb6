import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { SpecHooks } from '#oci/runtime-spec.ts';
import { until } from '../../support/command.ts';
import { cannotRun, GANTRY_OCI, worldFor } from './world.ts';

const skip = cannotRun();
const KINDS = [
  'prestart',
  'createRuntime',
  'createContainer',
  'startContainer',
  'poststart',
  'poststop',
] as const;

/** Hooks that write their kind and what they read of the state into a file. */
function loggingHooks(log: string): SpecHooks {
  const hooks: SpecHooks = {};
  for (const kind of KINDS) {
    // Inside of the container's root only for startContainer.
    const target = kind === 'startContainer' ? '/log-inside' : log;
    const script = `state=$(cat); status=\${state#*'"status":"'}; status=\${status%%'"'*}; echo "$KIND $status" >> ${target}`;
    hooks[kind] = [
      { path: '/bin/sh', args: ['sh', '-c', script], env: [`KIND=${kind}`, 'PATH=/bin'], timeout: 10 },
    ];
  }
  return hooks;
}

test('hooks run in their order, with the state on their standard input', { skip }, async (t) => {
  const world = worldFor(t);
  const log = join(world.directory, 'log');
  const bundle = world.bundle(['sleep', '1000'], (spec) => {
    spec.hooks = loggingHooks(log);
  });
  const lines = (): string[] => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []);
  await world.must(['create', '-b', bundle, 'one']);
  assert.deepEqual(lines(), ['prestart creating', 'createRuntime creating', 'createContainer creating']);
  await world.must(['start', 'one']);
  assert.equal(lines().at(-1), 'poststart running');
  const inside = join(bundle, 'rootfs/log-inside');
  await until(() => (existsSync(inside) ? true : undefined), { what: 'the hook inside' });
  assert.equal(readFileSync(inside, 'utf8'), 'startContainer created\n');
  await world.must(['kill', 'one', 'KILL']);
  await world.reaches('one', 'stopped');
  await world.must(['delete', 'one']);
  assert.equal(lines().at(-1), 'poststop stopped');
});

for (const kind of ['prestart', 'createRuntime', 'createContainer'] as const) {
  test(`a ${kind} hook that fails ends the creation, and nothing is left`, { skip }, async (t) => {
    const world = worldFor(t);
    const bundle = world.bundle(['sleep', '1000'], (spec) => {
      spec.hooks = { [kind]: [{ path: '/bin/sh', args: ['sh', '-c', 'exit 3'] }] };
    });
    const message = await world.refused(['create', '-b', bundle, 'one']);
    assert.match(message, new RegExp(`hook.*${kind}|${kind}.*hook`, 'i'));
    assert.match(message, /exit status 3/);
  });
}

test('a hook that takes too long is killed', { skip }, async (t) => {
  const world = worldFor(t);
  const bundle = world.bundle(['sleep', '1000'], (spec) => {
    spec.hooks = { createRuntime: [{ path: '/bin/sleep', args: ['sleep', '1000'], timeout: 1 }] };
  });
  assert.match(await world.refused(['create', '-b', bundle, 'one']), /hook|timeout|timed out/i);
});

for (const kind of ['poststart', 'poststop'] as const) {
  test(`a ${kind} hook that takes too long is killed with all that it has started`, { skip }, async (t) => {
    const world = worldFor(t);
    // Both shells name the world, which looks for them at its end.
    const script = `sh -c 'sleep 1000; : ${world.directory}' & wait; : ${world.directory}`;
    const bundle = world.bundle(['true'], (spec) => {
      spec.hooks = {
        [kind]: [{ path: '/bin/sh', args: ['sh', '-c', script], env: ['PATH=/bin'], timeout: 1 }],
      };
    });
    await world.must(['create', '-b', bundle, 'one']);
    const began = performance.now();
    const started = await world.oci(['start', 'one']);
    await world.reaches('one', 'stopped');
    const removed = await world.oci(['delete', 'one']);
    assert.match(
      started.stderr + removed.stderr,
      new RegExp(`${kind} hook #0: hook ran past specified timeout of 1.0s`),
    );
    assert.ok(performance.now() - began < 20_000);
  });
}

test('a time-out longer than any timer is no time-out of none', { skip }, async (t) => {
  const world = worldFor(t);
  const log = join(world.directory, 'log');
  const script = `sleep 0.3; echo done >> ${log}`;
  const bundle = world.bundle(['true'], (spec) => {
    const hook = { path: '/bin/sh', args: ['sh', '-c', script], env: ['PATH=/bin'], timeout: 3_000_000 };
    spec.hooks = { poststart: [hook], poststop: [hook] };
  });
  await world.must(['run', '-b', bundle, 'one']);
  assert.equal(readFileSync(log, 'utf8'), 'done\ndone\n');
});

test('a poststart hook that fails ends the container', { skip }, async (t) => {
  const world = worldFor(t);
  const bundle = world.bundle(['sleep', '1000'], (spec) => {
    spec.hooks = { poststart: [{ path: '/bin/sh', args: ['sh', '-c', 'echo words; exit 3'] }] };
  });
  await world.must(['create', '-b', bundle, 'one']);
  const message = await world.refused(['start', 'one']);
  assert.equal(message, 'error running poststart hook #0: exit status 3, stdout and stderr: words');
  await world.reaches('one', 'stopped');
  await world.must(['delete', 'one']);
});

test('a poststop hook that fails is told, the others run, and the container is gone', { skip }, async (t) => {
  const world = worldFor(t);
  const log = join(world.directory, 'log');
  const bundle = world.bundle(['true'], (spec) => {
    spec.hooks = {
      poststop: [
        { path: '/none' },
        { path: '/bin/sh', args: ['sh', '-c', `echo second > ${log}`], env: ['PATH=/bin'] },
      ],
    };
  });
  const { exit, stderr } = await world.oci(['run', '-b', bundle, 'one']);
  assert.equal(exit, 0);
  assert.match(stderr, /level=warning msg=".*poststop hook #0/);
  assert.equal(readFileSync(log, 'utf8'), 'second\n');
  assert.equal(await world.must(['list', '-q']), '');
});

test('a hook may use the command line on its own container', { skip }, async (t) => {
  const world = worldFor(t);
  const log = join(world.directory, 'log');
  const script = `oci='${GANTRY_OCI} --root ${world.root}'; $oci state one | grep status > ${log} && $oci kill one KILL`;
  const bundle = world.bundle(['sleep', '1000'], (spec) => {
    const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
    spec.hooks = {
      poststart: [{ path: '/bin/sh', args: ['sh', '-c', script], env: [`PATH=${path}`], timeout: 20 }],
    };
  });
  await world.must(['run', '-d', '-b', bundle, 'one']);
  assert.equal(readFileSync(log, 'utf8').trim(), '"status": "running",');
  await world.reaches('one', 'stopped');
  await world.must(['delete', 'one']);
});
