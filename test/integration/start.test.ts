import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { type CommandResult, must, run, until } from '../support/command.ts';
import { killProcessesNaming, removeCgroups } from '../support/leaks.ts';

const BOOTSTRAP = join(import.meta.dirname, '../../tools/bootstrap.mjs');
const SECOND_RUN_LIMIT_MS = 3000;

/** On a machine whose OCI runtimes are no programs: nothing of a start may need one. */
const WITHOUT_RUNTIMES = `
for program in /usr/sbin/runc /usr/bin/runc /usr/bin/crun; do
  [ ! -e $program ] || mount --bind /dev/null $program || exit 1
done
exec "$0" "$@"`;

function start(root: string): Promise<CommandResult> {
  const network = `--net=/run/netns/${basename(root)}`;
  const hidden = ['unshare', '--mount', 'sh', '-c', WITHOUT_RUNTIMES];
  return run('nsenter', [network, '--', ...hidden, process.execPath, BOOTSTRAP, 'start', '--root', root]);
}

async function pidOf(root: string): Promise<number> {
  return Number(await readFile(join(root, 'gantry.pid'), 'utf8'));
}

async function end(root: string): Promise<void> {
  const pid = await pidOf(root).catch(() => 0);
  if (pid > 0) {
    process.kill(pid, 'SIGTERM');
    const isGone = (): true | undefined => {
      try {
        process.kill(pid, 0);
        return undefined;
      } catch {
        return true;
      }
    };
    await until(isGone, { what: 'end of gantryd' });
  }
}

test('without an OCI runtime a start greets from a container, and a second one finds the same daemon', async () => {
  const root = await mkdtemp('/tmp/gt-start-');
  await must('ip', ['netns', 'add', basename(root)]);
  await must('ip', ['-n', basename(root), 'link', 'set', 'lo', 'up']);
  try {
    const first = await start(root);
    assert.equal(first.exit, 0, first.stderr);
    assert.match(first.stdout, /^gantryd started: PID \d+/m);
    assert.match(
      first.stdout,
      /hostname +[0-9a-f]{12}\n +my PID +1\n +kernel +Linux .*\n +memory limit +64 MiB\n/,
    );
    const pid = await pidOf(root);

    const beforeMs = performance.now();
    const second = await start(root);
    const tookMs = performance.now() - beforeMs;
    assert.equal(second.exit, 0, second.stderr);
    assert.match(second.stdout, new RegExp(`^gantryd is running: PID ${pid},`, 'm'));
    assert.match(second.stdout, /Hello from inside a container/);
    assert.doesNotMatch(second.stdout, /^(built|loaded)/m);
    assert.ok(tookMs < SECOND_RUN_LIMIT_MS, `the second run took ${Math.round(tookMs)} ms`);
  } finally {
    await end(root);
    await killProcessesNaming(`${root}/exec`);
    await run('ip', ['netns', 'del', basename(root)]);
    const instance = await readFile(join(root, 'data/instance'), 'utf8').catch(() => '');
    if (instance !== '') await removeCgroups(`/gantry-${instance.slice(0, 6)}`);
    await rm(root, { recursive: true, force: true });
  }
});
