import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { newContainerId, newExecId } from '#base/ids.ts';
import { LIMITS } from '#base/limits.ts';
import { silentLog } from '#base/log.ts';
import { ExecFiles } from './exec-files.ts';
import type { Exec } from './exec-model.ts';
import { ExecTable } from './table.ts';

const root = mkdtempSync(join(tmpdir(), 'gantry-execs-'));
after(() => rmSync(root, { recursive: true, force: true }));

test('so many execs of a container wait for their start, also when they are asked for at once', async () => {
  const table = new ExecTable(new ExecFiles(root, silentLog));
  const [one, other] = [newContainerId(), newContainerId()];
  const add = (containerId = one): Promise<Exec> =>
    table.add({ id: newExecId(), containerId, config: {}, user: {} } as unknown as Exec);
  const outcomes = await Promise.allSettled(Array.from({ length: LIMITS.waitingExecs + 5 }, () => add()));
  const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
  assert.equal(refused.length, 5);
  assert.match(String(refused[0]?.reason), /1024 execs that were created and never started/);
  await add(other);
  const [first] = table.ofContainer(one);
  assert.ok(first !== undefined);
  first.started = true;
  await add();
  await assert.rejects(add(), { kind: 'conflict' });
});
