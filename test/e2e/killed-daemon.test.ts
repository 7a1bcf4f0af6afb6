/** What must hold while the daemon is dead, and when it is back. */
import assert from 'node:assert/strict';
import { readdirSync, renameSync } from 'node:fs';
import { run, until } from '../support/command.ts';
import type { TestDaemon } from '../support/daemon.ts';
import { e2e } from '../support/e2e.ts';
import { removeCgroups } from '../support/leaks.ts';

/** Whether another program in the daemon's network namespace can take the port. */
async function canBind(daemon: TestDaemon, port: number, address: string): Promise<boolean> {
  const script =
    "const s=require('net').createServer().on('error',(e)=>{console.log(e.code);process.exit(3)});" +
    `s.listen({port:${port},host:'${address}'},()=>process.exit(0))`;
  const { exit, stdout } = await daemon.inNetwork([process.execPath, '-e', script]);
  assert.ok(exit === 0 || stdout === 'EADDRINUSE\n', stdout);
  return exit === 0;
}

const answers = (daemon: TestDaemon, address: string): Promise<true> =>
  until(
    async () =>
      (await daemon.inNetwork(['curl', '-sSf', '-m', '3', `http://${address}/`])).exit === 0
        ? true
        : undefined,
    { what: `an answer from ${address}` },
  );

e2e('a published port stays taken and answers while no daemon lives', { images: ['web'] }, async (daemon) => {
  const publish = ['-p', '8080:8080', '-p', '127.0.0.1:8081:8080', '-p', '8082:9/udp'];
  await daemon.mustDocker(['run', '-d', '--name', 'web', ...publish, 'gantry/web']);
  const everything = async (): Promise<void> => {
    assert.equal(await canBind(daemon, 8080, '0.0.0.0'), false);
    assert.equal(await canBind(daemon, 8081, '127.0.0.1'), false);
    await answers(daemon, '198.18.0.1:8080');
    await answers(daemon, '127.0.0.1:8081');
  };
  await everything();
  await daemon.kill('SIGKILL');
  await everything();
  await daemon.start();
  await everything();
  const second = await daemon.docker(['run', '-d', '--name', 'other', '-p', '8080:8080', 'gantry/web']);
  assert.match(second.stderr, /Bind for (0\.0\.0\.0|:::):8080 failed: port is already allocated/);
  await daemon.mustDocker(['restart', '-t', '0', 'web']);
  await everything();
  await daemon.mustDocker(['stop', '-t', '0', 'web']);
  assert.equal(await canBind(daemon, 8080, '0.0.0.0'), true);
  assert.equal(await canBind(daemon, 8081, '127.0.0.1'), true);
});

interface ExecView {
  readonly Running: boolean;
  readonly ExitCode: number | null;
  readonly Pid: number;
}

e2e('execs are known to the next daemon: running, ended meanwhile, not started yet', {}, async (daemon) => {
  const id = await daemon.mustDocker(['run', '-d', '--name', 'box', 'busybox', 'sleep', '1000']);
  const create = async (script: string): Promise<string> => {
    const body = { Cmd: ['sh', '-c', script], AttachStdout: true };
    const answer = await daemon.api(`/containers/${id}/exec`, { method: 'POST', body });
    assert.equal(answer.status, 201, answer.body.toString());
    return (answer.json as { Id: string }).Id;
  };
  const start = (exec: string) =>
    daemon.api(`/exec/${exec}/start`, { method: 'POST', body: { Detach: true } });
  const view = async (exec: string): Promise<ExecView> => {
    const answer = await daemon.api(`/exec/${exec}/json`);
    assert.equal(answer.status, 200, answer.body.toString());
    return answer.json as ExecView;
  };
  const [long, short, before, fresh] = [
    await create('while [ ! -e /go ]; do sleep 0.05; done; exit 4'),
    await create('sleep 1; exit 7'),
    await create('exit 9'),
    await create('exit 5'),
  ];
  const missing = (
    await daemon.api(`/containers/${id}/exec`, { method: 'POST', body: { Cmd: ['nosuchcommand'] } })
  ).json as { Id: string };
  for (const exec of [long, short, before]) assert.equal((await start(exec)).status, 200);
  assert.equal((await start(missing.Id)).status, 400);
  await until(async () => ((await view(before)).Running ? undefined : true), { what: 'the end of an exec' });
  const { Pid } = await view(long);
  await daemon.kill('SIGKILL');
  await new Promise((resolve) => setTimeout(resolve, 1200));
  await daemon.start();
  const facts = async (exec: string) => {
    const { Running, ExitCode } = await view(exec);
    return [Running, ExitCode];
  };
  assert.deepEqual(await facts(long), [true, null]);
  assert.equal((await view(long)).Pid, Pid);
  assert.deepEqual(await facts(short), [false, 7]);
  assert.deepEqual(await facts(before), [false, 9]);
  assert.deepEqual(await facts(missing.Id), [false, 127]);
  assert.deepEqual(await facts(fresh), [false, null]);
  const inspect = (await daemon.api(`/containers/${id}/json`)).json as { ExecIDs: string[] | null };
  assert.deepEqual(inspect.ExecIDs, [long]);
  assert.equal((await start(fresh)).status, 200);
  assert.equal((await start(short)).status, 409);
  await daemon.mustDocker(['exec', 'box', 'touch', '/go']);
  await until(async () => ((await view(long)).Running ? undefined : true), {
    what: 'the end of the long exec',
  });
  assert.deepEqual(await facts(long), [false, 4]);
  assert.deepEqual(await facts(fresh), [false, 5]);
});

e2e(
  'auto-remove: what was meant to run is collected at boot, what was only created stays',
  {},
  async (daemon) => {
    const create = async (name: string): Promise<string> => {
      const body = { Image: 'busybox', Cmd: ['sleep', '1000'], HostConfig: { AutoRemove: true } };
      const answer = await daemon.api(`/containers/create?name=${name}`, { method: 'POST', body });
      return (answer.json as { Id: string }).Id;
    };
    const created = await create('created');
    const started = await create('started');
    const hanging = daemon.api(`/containers/${started}/start`, { method: 'POST' }).catch(() => undefined);
    const intent = `${daemon.execRoot}/containers/${started}`;
    await until(async () => ((await run('test', ['-e', intent])).exit === 0 ? true : undefined), {
      what: 'the intent of the start',
    });
    await daemon.kill('SIGKILL');
    await hanging;
    // A shim that lives has the last word; here the start was never finished.
    const task = `${daemon.execRoot}/tasks/${started}/shim.pid`;
    const shim = /"pid":(\d+)/.exec((await run('cat', [task])).stdout)?.[1];
    if (shim !== undefined) await run('kill', ['-9', shim]);
    await run('rm', ['-f', `${daemon.execRoot}/tasks/${started}/init`]);
    await daemon.start();
    const list = (await daemon.api('/containers/json?all=1')).json as { Id: string }[];
    assert.deepEqual(
      list.map(({ Id }) => Id),
      [created],
    );
  },
);

e2e('after a reboot of the host what ran is exited with 255', {}, async (daemon) => {
  const run255 = async (name: string, options: readonly string[]): Promise<string> =>
    await daemon.mustDocker(['run', '-d', '--name', name, ...options, 'busybox', 'sleep', '1000']);
  const plain = await run255('plain', []);
  await run255('gone', ['--rm']);
  await run255('always', ['--restart', 'always']);
  await new Promise((resolve) => setTimeout(resolve, 1100));
  await daemon.kill('SIGKILL');
  // As a reboot leaves it: no process, nothing on tmpfs.
  for (const name of (await run('ls', [`${daemon.execRoot}/tasks`])).stdout.split('\n').filter(Boolean)) {
    for (const file of ['shim.pid', 'init']) {
      const text = (await run('cat', [`${daemon.execRoot}/tasks/${name}/${file}`])).stdout;
      const pid = /"pid":(\d+)/.exec(text)?.[1];
      if (pid !== undefined) await run('kill', ['-9', pid]);
    }
  }
  await new Promise((resolve) => setTimeout(resolve, 200));
  await removeCgroups(daemon.cgroupParent ?? '');
  await run('rm', ['-rf', daemon.execRoot]);
  await daemon.start();
  const state = async (name: string) =>
    (await daemon.docker(['inspect', '-f', '{{.State.Status}} {{.State.ExitCode}}', name])).stdout.trim();
  assert.equal(await state(plain), 'exited 255');
  assert.equal(await state('gone'), '');
  await until(async () => ((await state('always')) === 'running 0' ? true : undefined), {
    what: 'the restart policy',
  });
});

e2e('a removal that a crash cut short takes its anonymous volumes along', {}, async (daemon) => {
  const make = (): Promise<string> => daemon.mustDocker(['create', '-v', '/anonymous', 'busybox']);
  const [whole, plain] = [await make(), await make()];
  const volumes = async (): Promise<string[]> =>
    (await daemon.mustDocker(['volume', 'ls', '-q'])).split('\n').filter((name) => name !== '');
  assert.equal((await volumes()).length, 2);
  await daemon.kill();
  // As the removals leave them right after their first step: `rm -v`, and `rm`.
  const records = `${daemon.dataRoot}/containers`;
  renameSync(`${records}/${whole}`, `${records}/.removed-volumes-${whole}`);
  renameSync(`${records}/${plain}`, `${records}/.removed-${plain}`);
  await daemon.start();
  const [left = '', ...others] = await volumes();
  assert.deepEqual(others, []);
  assert.deepEqual(readdirSync(records), []);
  await daemon.mustDocker(['volume', 'rm', left]);
});
