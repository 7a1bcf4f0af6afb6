/** Whoever waits for an end is told, also when it comes in an unusual way. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { until } from '../support/command.ts';
import { e2e } from '../support/e2e.ts';

e2e('who waits between two runs of a policy hears that the next one failed', {}, async (daemon) => {
  const source = `${daemon.root}/source`;
  mkdirSync(source);
  const mount = `type=bind,source=${source},target=/x`;
  await daemon.mustDocker([
    'run',
    '-d',
    '--name',
    'box',
    '--restart',
    'always',
    '--mount',
    mount,
    'busybox',
    'false',
  ]);
  const format = '{{.State.Status}} {{gt .RestartCount 3}}';
  await until(
    async () =>
      (await daemon.mustDocker(['inspect', '-f', format, 'box'])) === 'restarting true' ? true : undefined,
    { what: 'a long pause between two runs' },
  );
  // The fifth run is counted before it begins; the pause after it takes seconds.
  await new Promise((resolve) => setTimeout(resolve, 700));
  rmSync(source, { recursive: true });
  const { exit } = await daemon.docker(['wait', 'box'], { timeoutMs: 20_000 });
  assert.equal(exit, 0);
  assert.equal(await daemon.mustDocker(['inspect', '-f', '{{.State.Status}}', 'box']), 'exited');
});

e2e('a time-out of years is no time-out of a millisecond', {}, async (daemon) => {
  const script = 'trap "sleep 1; exit 7" TERM; echo ready; while :; do sleep 0.1; done';
  await daemon.mustDocker(['run', '-d', '--name', 'box', 'busybox', 'sh', '-c', script]);
  await until(async () => ((await daemon.mustDocker(['logs', 'box'])) === 'ready' ? true : undefined), {
    what: 'the trap',
  });
  await daemon.mustDocker(['stop', '-t', '3000000', 'box']);
  assert.equal(await daemon.mustDocker(['inspect', '-f', '{{.State.ExitCode}}', 'box']), '7');
});

e2e("a client's regular expression that backtracks without end holds nobody up", {}, async (daemon) => {
  await daemon.mustDocker(['create', '--name', `${'a'.repeat(60)}_`, 'busybox']);
  const found = await daemon.docker(['ps', '-aq', '--filter', 'name=^(a+)+$'], { timeoutMs: 10_000 });
  assert.deepEqual([found.exit, found.stdout], [0, '']);
});
