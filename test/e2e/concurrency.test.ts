import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { until } from '../support/command.ts';
import type { TestDaemon } from '../support/daemon.ts';
import { e2e } from '../support/e2e.ts';

interface Answer {
  readonly status: number;
  readonly message: string;
}

async function call(daemon: TestDaemon, method: string, path: string): Promise<Answer> {
  const answer = await daemon.api(path, { method });
  return { status: answer.status, message: (answer.json as { message?: string } | undefined)?.message ?? '' };
}

async function create(daemon: TestDaemon, name: string, more: object = {}): Promise<string> {
  const body = { Image: 'busybox', Cmd: ['sleep', '1000'], ...more };
  const answer = await daemon.api(`/containers/create?name=${name}`, { method: 'POST', body });
  assert.equal(answer.status, 201, answer.body.toString());
  return (answer.json as { Id: string }).Id;
}

e2e('two removals at once: one does it, the others hear of it', {}, async (daemon) => {
  await daemon.mustDocker(['run', '-d', '--name', 'box', 'busybox', 'sleep', '1000']);
  const answers = await Promise.all(
    Array.from({ length: 6 }, () => call(daemon, 'DELETE', '/containers/box?force=1')),
  );
  const texts = answers.map(({ status, message }) => `${status} ${message}`).sort();
  assert.deepEqual(texts, [
    '204 ',
    ...Array.from({ length: 5 }, () => '409 removal of container box is already in progress'),
  ]);
});

e2e('verbs that meet: start and rm, start and stop, exec and stop, rename and rename', {}, async (daemon) => {
  for (let round = 0; round < 4; round++) {
    const id = await create(daemon, `box${round}`);
    const [, removed] = await Promise.all([
      call(daemon, 'POST', `/containers/${id}/start`),
      call(daemon, 'DELETE', `/containers/${id}?force=1`),
    ]);
    assert.equal(removed.status, 204, removed.message);
    assert.equal((await call(daemon, 'GET', `/containers/${id}/json`)).status, 404);
  }
  const id = await create(daemon, 'box');
  const [started, stopped] = await Promise.all([
    call(daemon, 'POST', '/containers/box/start'),
    call(daemon, 'POST', '/containers/box/stop?t=0'),
  ]);
  assert.deepEqual([started.status, stopped.status], [204, 204], stopped.message);
  await call(daemon, 'POST', '/containers/box/start');
  const execs = Array.from({ length: 8 }, async (_, i) => {
    await new Promise((resolve) => setTimeout(resolve, i * 8));
    const made = await daemon.api(`/containers/${id}/exec`, { method: 'POST', body: { Cmd: ['true'] } });
    if (made.status !== 201) return `create ${made.status}`;
    const { Id } = made.json as { Id: string };
    return `start ${(await daemon.api(`/exec/${Id}/start`, { method: 'POST', body: { Detach: true } })).status}`;
  });
  const stop = await call(daemon, 'POST', '/containers/box/stop?t=0');
  assert.equal(stop.status, 204);
  for (const outcome of await Promise.all(execs)) assert.match(outcome, /^(start 200|start 409|create 409)$/);
  const renames = await Promise.all(
    ['one', 'two'].map((name) => call(daemon, 'POST', `/containers/${id}/rename?name=${name}`)),
  );
  assert.deepEqual(
    renames.map(({ status }) => status),
    [204, 204],
  );
  // The old name is free, and means nobody.
  assert.equal((await call(daemon, 'GET', '/containers/box/json')).status, 404);
  const other = await create(daemon, 'box');
  const [first] = await Promise.all([
    call(daemon, 'DELETE', '/containers/box'),
    call(daemon, 'POST', '/containers/box/rename?name=late'),
  ]);
  assert.equal(first.status, 204);
  assert.equal((await call(daemon, 'GET', `/containers/${other}/json`)).status, 404);
});

e2e('twenty runs at once: no error, and the API answers meanwhile', {}, async (daemon) => {
  let slowestMs = 0;
  let over = false;
  const ping = (async () => {
    while (!over) {
      const start = performance.now();
      await daemon.api('/_ping');
      slowestMs = Math.max(slowestMs, performance.now() - start);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  })();
  const run = async (i: number): Promise<number> => {
    const id = await create(daemon, `run${i}`, {
      Cmd: ['sh', '-c', `exit ${i}`],
      HostConfig: { AutoRemove: true },
    });
    const waiting = daemon.api(`/containers/${id}/wait?condition=removed`, { method: 'POST' });
    const started = await call(daemon, 'POST', `/containers/${id}/start`);
    assert.equal(started.status, 204, started.message);
    return ((await waiting).json as { StatusCode: number }).StatusCode;
  };
  const codes = await Promise.all(Array.from({ length: 20 }, (_, i) => run(i + 1)));
  over = true;
  await ping;
  assert.deepEqual(
    codes,
    Array.from({ length: 20 }, (_, i) => i + 1),
  );
  assert.ok(slowestMs < 1000, `an answer took ${slowestMs.toFixed(0)} ms`);
});

e2e('a start that hangs is given up by a forced removal', {}, async (daemon) => {
  const path = `${daemon.root}/hang.sh`;
  await writeFile(path, '#!/bin/sh\nsleep 1000\n', { mode: 0o755 });
  await writeFile(`${daemon.root}/daemon.json`, JSON.stringify({ runtimes: { hang: { path } } }));
  await daemon.restart('SIGTERM');
  const id = await create(daemon, 'stuck', { HostConfig: { Runtime: 'hang' } });
  const start = call(daemon, 'POST', `/containers/${id}/start`);
  await until(
    async () => ((await call(daemon, 'GET', `/containers/${id}/json`)).status === 200 ? true : undefined),
    {
      what: 'inspect during the start',
    },
  );
  const begun = Date.now();
  assert.equal((await call(daemon, 'DELETE', `/containers/${id}?force=1`)).status, 204);
  assert.ok(Date.now() - begun < 10_000);
  assert.deepEqual(await start, {
    status: 409,
    message: 'container is marked for removal and cannot be started',
  });
});
