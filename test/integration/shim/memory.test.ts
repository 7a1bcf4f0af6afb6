/** What an idle shim costs, also after much output: there is one for every container. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { encodeLaunchPlan } from '../../../src/runtime/launch-plan/encode.ts';
import { cannotLaunch, makeRoot, smallPlan } from '../launcher/launch-command.ts';
import { FIELD, FRAME } from './shim-connection.ts';
import { startShim, until } from './shim-harness.ts';

const IDLE_PSS_KB = 100;
/** Of its own, not of the program's file. */
const IDLE_OWN_KB = 52;

function memoryOf(pid: number, key: 'Pss' | 'Anonymous'): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return Number(new RegExp(`^${key}: +(\\d+) kB`, 'm').exec(text)?.[1]);
}

test('an idle shim is small, and small again after output through every buffer', async (t) => {
  const shim = await startShim(t);
  const client = await shim.attach(7);
  await shim.start('read x; head -c 3000000 /dev/zero | tr "\\0" z; seq 1 200000; exec sleep 1000', [
    [FIELD.flags, 1],
  ]);
  const isSmall = (): boolean =>
    memoryOf(shim.pid, 'Pss') <= IDLE_PSS_KB && memoryOf(shim.pid, 'Anonymous') <= IDLE_OWN_KB;
  const sizes = (): string => `${memoryOf(shim.pid, 'Pss')} kB, ${memoryOf(shim.pid, 'Anonymous')} its own`;
  assert.ok(await until(isSmall), `${sizes()}, before output`);
  client.sendRaw(FRAME.stdin, Buffer.from('\n'));
  let text = '';
  while (!text.endsWith('\n200000\n'))
    text = text.slice(-20) + (await client.take((one) => one.type === FRAME.stdout)).payload.toString();
  await delay(50);
  assert.ok(await until(isSmall), `${sizes()}, after output`);
});

test('a container and execs by launch plans leave nothing in the shim', {
  skip: cannotLaunch(),
}, async (t) => {
  const shim = await startShim(t);
  const { root } = makeRoot(t);
  const plan = encodeLaunchPlan(smallPlan({ root, command: ['/bin/sleep', '1000'] }));
  const started = await shim.control.request(FRAME.start, [[FIELD.plan, plan]]);
  assert.equal(started.type, FRAME.started);
  const large = [
    [FIELD.execId, 'large'],
    [FIELD.plan, Buffer.alloc(4_000_000)],
  ] as const;
  assert.equal((await shim.control.request(FRAME.exec, large)).type, FRAME.failed);
  const isSmall = (): boolean =>
    memoryOf(shim.pid, 'Pss') <= IDLE_PSS_KB && memoryOf(shim.pid, 'Anonymous') <= IDLE_OWN_KB;
  assert.ok(
    await until(isSmall),
    `${memoryOf(shim.pid, 'Pss')} kB, ${memoryOf(shim.pid, 'Anonymous')} its own`,
  );
});
