import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { e2e } from '../support/e2e.ts';
import { USES_OWN_RUNTIME } from '../support/runtimes.ts';

const DEFAULT = USES_OWN_RUNTIME ? 'gantry' : 'runc';

e2e('runtimes: our own is there and the default, runc is one flag away', {}, async (daemon) => {
  const docker = (...args: string[]) => daemon.mustDocker(args);
  assert.equal(await docker('info', '-f', '{{.DefaultRuntime}}'), DEFAULT);
  const names = (await docker('info', '-f', '{{range $name, $one := .Runtimes}}{{$name}} {{end}}')).split(
    ' ',
  );
  for (const name of ['gantry', 'runc']) assert.ok(names.includes(name), name);

  for (const runtime of ['gantry', 'runc']) {
    const run = ['run', '-d', '--name', runtime, '--runtime', runtime, '--user', '7:8', 'busybox'];
    await docker(...run, 'sh', '-c', 'trap "exit 3" TERM; while :; do sleep 0.05; done');
    assert.equal(await docker('inspect', '-f', '{{.HostConfig.Runtime}}', runtime), runtime);
    assert.equal(await docker('exec', runtime, 'id', '-u'), '7');
    assert.equal(await docker('exec', '-t', runtime, 'tty'), '/dev/pts/0');
  }
  const unknown = await daemon.docker(['run', '--runtime', 'nosuch', 'busybox', 'true']);
  assert.match(
    unknown.stderr,
    /^docker: Error response from daemon: unknown or invalid runtime name: nosuch\n/,
  );
  assert.equal(unknown.exit, 125);

  // Whoever started them: the next daemon goes on as it was begun.
  await daemon.restart();
  for (const runtime of ['gantry', 'runc']) {
    const status = await docker('exec', runtime, 'cat', '/proc/self/status');
    assert.match(status, /^Seccomp:\s2$/m);
    assert.match(status, /^CapEff:\s0+$/m);
    const id = await docker('inspect', '-f', '{{.Id}}', runtime);
    const task = JSON.parse(await readFile(`${daemon.execRoot}/tasks/${id}/task.json`, 'utf8')) as {
      runtime: string;
    };
    assert.equal(task.runtime, runtime);
    await docker('stop', runtime);
    assert.equal(await docker('wait', runtime), '3');
  }
});

e2e(
  'a runtime of the configuration starts containers, its own errors are told',
  {
    config: { 'default-runtime': 'broken', runtimes: { broken: { path: '/bin/false' } } },
  },
  async (daemon) => {
    const failed = await daemon.docker(['run', '--rm', 'busybox', 'true']);
    assert.equal(failed.exit, 125);
    assert.match(failed.stderr, /\/bin\/false did not terminate successfully: exit status 1/);
    assert.equal(
      await daemon.mustDocker(['run', '--rm', '--runtime', 'gantry', 'busybox', 'echo', 'x']),
      'x',
    );
  },
);
