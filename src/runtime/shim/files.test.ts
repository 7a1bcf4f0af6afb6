import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { LIMITS } from '#base/limits.ts';
import { readEndedExecs, readExit, writeExit } from './files.ts';

function taskDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'gantry-task-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

test('of a file that grew too long the end is read', async (t) => {
  const directory = taskDirectory(t);
  const line = (id: string): string => `${JSON.stringify({ id, pid: 1, exitCode: 3, exitedAtNs: '5' })}\n`;
  let text = line('first');
  for (let i = 0; text.length <= LIMITS.taskFileBytes; i++) text += line(`e${i}`);
  writeFileSync(join(directory, 'execs'), `${text}${line('last')}{"id":"torn`);
  const ended = await readEndedExecs(directory);
  assert.deepEqual(
    [ended.has('first'), ended.get('last')?.exit.exitCode, ended.has('torn')],
    [false, 3, false],
  );
});

test('an exit file is read as it was written; damage is none', async (t) => {
  const directory = taskDirectory(t);
  assert.equal(await readExit(directory), null);
  const exit = { exitCode: 137, signal: 9, oomKilled: true, exitedAtNanos: 12n, reason: 'why' };
  await writeExit(directory, 7, exit);
  assert.deepEqual(await readExit(directory), { pid: 7, exit });
  writeFileSync(join(directory, 'exit'), '{"pid":');
  assert.equal(await readExit(directory), null);
});
