import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { e2e } from '../support/e2e.ts';
import { type CommandResult, run } from '../support/command.ts';
import { CRUN_IS_MISSING, TEST_RUNTIME } from '../support/runtimes.ts';

const DEFAULT = TEST_RUNTIME || 'gantry';

/** More than one: whether a status or output arrives may depend on who ends first. */
const SHORT_RUNS = 12;
const WAITS = 'tty; trap "exit 3" TERM; while :; do sleep 0.05; done';

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
    // A client whose input ends when the process has ended still gets all of its output.
    for (let i = 0; i < SHORT_RUNS; i++) {
      const ended = await daemon.docker(['exec', '-i', runtime, 'echo', 'out'], { input: '' });
      assert.equal(ended.stdout, 'out\n');
    }
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

e2e('crun: codes, streams, terminals, stop, a new daemon', { skip: CRUN_IS_MISSING }, async (daemon) => {
  const docker = (...args: string[]) => daemon.mustDocker(args);
  const crun = (...args: string[]): Promise<CommandResult> =>
    daemon.docker(['run', '--rm', '--runtime', 'crun', ...args]);
  for (let code = 0; code < SHORT_RUNS; code++) {
    const ended = await crun('busybox', 'sh', '-c', `echo out; echo err >&2; exit ${code}`);
    assert.deepEqual([ended.exit, ended.stdout, ended.stderr], [code, 'out\n', 'err\n']);
  }
  assert.match((await crun('busybox', '/no/such')).stderr, /executable file `\/no\/such` not found/);
  const directory = await crun('-v', '/etc/hostname:/etc', 'busybox', 'true');
  assert.equal(directory.stderr.match(/Are you trying to mount a directory onto a file/g)?.length, 1);
  const readonly = ['--read-only', '-v', '/etc/hostname:/f:ro', 'busybox'];
  const written = await crun(...readonly, 'sh', '-c', 'touch /x; echo >/f; exit 9');
  assert.equal(written.exit, 9, written.stderr);
  assert.equal(written.stderr.match(/Read-only file system/g)?.length, 2);

  await docker('run', '-dt', '--name', 'one', '--runtime', 'crun', 'busybox', 'sh', '-c', WAITS);
  for (let code = 0; code < SHORT_RUNS; code++) {
    const ended = await daemon.docker(['exec', '-i', 'one', 'sh', '-c', `cat; exit ${code}`], {
      input: 'in',
    });
    assert.deepEqual([ended.exit, ended.stdout], [code, 'in']);
  }
  const words = `docker -H ${daemon.host} exec -it one sh -c 'tty; exit 4'`;
  const terminal = await run('script', ['-qec', words, '/dev/null'], { input: '' });
  assert.equal(terminal.exit, 4);
  assert.match(terminal.stdout, /\/dev\/pts\/1\r?$/m);
  assert.equal((await daemon.docker(['exec', 'one', 'nosuch'])).exit, 127);
  await daemon.restart();
  assert.equal(await docker('inspect', '-f', '{{.State.Status}}', 'one'), 'running');
  assert.equal(await docker('exec', 'one', 'cat', '/proc/1/comm'), 'sh');
  await docker('stop', 'one');
  assert.equal(await docker('inspect', '-f', '{{.State.ExitCode}}', 'one'), '3');
  assert.match(await docker('logs', 'one'), /^\/dev\/(console|pts\/0)\r?$/m);
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
