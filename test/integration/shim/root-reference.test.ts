/**
 * The end is told before the layer is written to disk: the kernel syncs it when the last reference to the
 * root file system goes, and that one is the shim's until it is released.
 */
import assert from 'node:assert/strict';
import { closeSync, openSync, readlinkSync } from 'node:fs';
import { test } from 'node:test';
import { cannotLaunch, makeRoot, smallPlan } from '../launcher/launch-command.ts';
import { encodeLaunchPlan } from '../../../src/runtime/launch-plan/encode.ts';
import { FIELD, FRAME, textOf } from './shim-connection.ts';
import { isAlive, startShim, until } from './shim-harness.ts';

const ROOT_FS = 4;

test('after EXIT and until RELEASE the shim holds the root file system', {
  skip: cannotLaunch(),
}, async (t) => {
  const { root } = makeRoot(t);
  const fd = openSync(root, 'r');
  t.after(() => closeSync(fd));
  const shim = await startShim(t, { rootfs: fd });
  const held = (): string => readlinkSync(`/proc/${shim.pid}/fd/${ROOT_FS}`);
  const plan = encodeLaunchPlan(smallPlan({ root, command: ['/bin/true'] }));
  const started = await shim.control.request(FRAME.start, [[FIELD.plan, plan]]);
  assert.equal(started.type, FRAME.started, textOf(started, FIELD.message));
  await shim.control.event(FRAME.exit);
  assert.equal(held(), root);
  assert.equal((await shim.control.request(FRAME.release)).type, FRAME.ok);
  assert.ok(await until(() => !isAlive(shim.pid)));
});
