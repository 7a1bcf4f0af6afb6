/** A container whose own file tree hangs or lies must not hold up the engine, nor its own removal. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { e2e } from '../support/e2e.ts';
import { until } from '../support/command.ts';

const LIMIT = { timeoutMs: 20_000 };

/**
 * Older releases of runc open /etc/passwd themselves and wait there; nothing of that may reach the engine.
 */
e2e('a FIFO as passwd and group: the engine and removal go on', {}, async (daemon) => {
  const script = 'rm -f /etc/passwd /etc/group; mkfifo /etc/passwd /etc/group; echo ready; sleep 1000';
  for (const name of ['one', 'two']) {
    await daemon.mustDocker(['run', '-d', '--name', name, 'busybox', 'sh', '-c', script]);
    await until(async () => ((await daemon.mustDocker(['logs', name])) === 'ready' ? true : undefined), {
      what: 'the FIFO',
    });
  }
  const named = await daemon.docker(['exec', '-u', 'nobody', 'one', 'id'], LIMIT);
  assert.match(named.stderr, /unable to find user nobody: no matching entries in passwd file/);
  const exec = daemon.docker(['exec', 'one', 'true'], LIMIT);
  await daemon.mustDocker(['stop', '-t', '0', 'two'], LIMIT);
  const start = daemon.docker(['start', 'two'], LIMIT);
  await new Promise((resolve) => setTimeout(resolve, 300));
  const begun = Date.now();
  await daemon.mustDocker(['run', '--rm', 'busybox', 'true'], LIMIT);
  for (const name of ['one', 'two']) await daemon.mustDocker(['rm', '-f', name], LIMIT);
  assert.ok(Date.now() - begun < 12_000, 'the engine waited for the FIFO');
  for (const { exit } of [await exec, await start]) assert.notEqual(exit, 124);
});

e2e('a FUSE file system over /etc that never answers: the engine and rm -f do', {}, async (daemon) => {
  if (!existsSync('/dev/fuse')) return;
  const options = 'fd=3,rootmode=40000,user_id=0,group_id=0';
  const script = `touch /ready; exec 3<>/dev/fuse; mount -t fuse -o ${options} none /etc; touch /mounted; sleep 1000`;
  await daemon.mustDocker(['run', '-d', '--privileged', '--name', 'box', 'busybox', 'sh', '-c', script]);
  await new Promise((resolve) => setTimeout(resolve, 500));
  const execs = Array.from({ length: 4 }, () => daemon.docker(['exec', '-u', 'root', 'box', 'true'], LIMIT));
  await new Promise((resolve) => setTimeout(resolve, 200));
  const begun = Date.now();
  await daemon.mustDocker(['run', '--rm', 'busybox', 'true'], LIMIT);
  await daemon.mustDocker(['ps'], LIMIT);
  await daemon.mustDocker(['rm', '-f', 'box'], LIMIT);
  assert.ok(Date.now() - begun < 10_000, 'the engine waited for the file system');
  for (const { exit } of await Promise.all(execs)) assert.notEqual(exit, 0);
});
