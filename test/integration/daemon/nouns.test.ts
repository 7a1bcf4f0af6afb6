import assert from 'node:assert/strict';
import { test } from 'node:test';
import { must, until } from '../../support/command.ts';
import { startDaemon, type TestDaemon } from '../../support/daemon.ts';
import { busyboxArchive } from '../../support/images.ts';

/*
 * Endpoints that no command of the other tests asks for, as their answers are: images, networks, volumes,
 * disk use.
 */

async function daemonWithImage(): Promise<{ daemon: TestDaemon; image: string }> {
  const daemon = await startDaemon();
  const { archive, reference } = await busyboxArchive();
  await daemon.loadImage(archive);
  return { daemon, image: reference };
}

async function get<T>(daemon: TestDaemon, path: string): Promise<T> {
  const answer = await daemon.api(path);
  assert.equal(answer.status, 200, `${path}: ${answer.body.toString()}`);
  return answer.json as T;
}

const filters = (value: Record<string, string[]>): string =>
  `filters=${encodeURIComponent(JSON.stringify(value))}`;

test('images: history, archives of one and of several, prune', { timeout: 60_000 }, async () => {
  const { daemon, image } = await daemonWithImage();
  await using running = daemon;
  const history = await get<{ Size: number; CreatedBy: string }[]>(running, `/images/${image}/history`);
  assert.ok(history.some((step) => step.Size > 0));

  const { Id } = await get<{ Id: string }>(running, `/images/${image}/json`);
  for (const path of [`/images/${image}/get`, `/images/get?names=${image}`]) {
    const saved = await running.api(path);
    assert.equal(saved.status, 200);
    await running.api(`/images/${image}?force=1`, { method: 'DELETE' });
    assert.equal((await running.api(`/images/${image}/json`)).status, 404);
    const loaded = await running.api('/images/load?quiet=1', { method: 'POST', raw: saved.body });
    assert.match(loaded.body.toString(), /Loaded image/);
    assert.equal((await get<{ Id: string }>(running, `/images/${image}/json`)).Id, Id, path);
  }

  const prune = async (dangling: string): Promise<unknown> => {
    const answer = await running.api(`/images/prune?${filters({ dangling: [dangling] })}`, {
      method: 'POST',
    });
    assert.equal(answer.status, 200, answer.body.toString());
    return (answer.json as { ImagesDeleted: unknown }).ImagesDeleted;
  };
  assert.equal(await prune('true'), null);
  assert.ok(Array.isArray(await prune('false')));
  assert.deepEqual(await get(running, '/images/json'), []);
});

test('networks: the three predefined ones, who is in them, no removal', { timeout: 60_000 }, async () => {
  const { daemon, image } = await daemonWithImage();
  await using running = daemon;
  const list = await get<{ Name: string; Driver: string }[]>(running, '/networks');
  assert.deepEqual(list.map(({ Name, Driver }) => `${Name} ${Driver}`).toSorted(), [
    'bridge bridge',
    'host host',
    'none null',
  ]);
  assert.deepEqual(
    (await get<{ Name: string }[]>(running, `/networks?${filters({ driver: ['null'] })}`)).map((n) => n.Name),
    ['none'],
  );

  const body = { Image: image, Cmd: ['sleep', '600'] };
  const { Id } = (await running.api('/containers/create', { method: 'POST', body })).json as { Id: string };
  assert.equal((await running.api(`/containers/${Id}/start`, { method: 'POST' })).status, 204);
  const bridge = await get<{ Containers: Record<string, { IPv4Address: string }> }>(
    running,
    '/networks/bridge',
  );
  assert.match(bridge.Containers[Id]?.IPv4Address ?? '', /^172\.\d+\.\d+\.\d+\/16$/);

  // Right after the start a process may still be on its way to its program.
  const top = await until(
    async () => {
      const seen = await get<{ Titles: string[]; Processes: string[][] }>(running, `/containers/${Id}/top`);
      return seen.Processes.some((row) => row.at(-1) === 'sleep 600') ? seen : undefined;
    },
    { what: 'sleep among the processes' },
  );
  assert.equal(top.Titles.at(-1), 'CMD');
  assert.equal(top.Processes.length, 1);

  const refused = await running.api('/networks/bridge', { method: 'DELETE' });
  assert.equal(refused.status, 403);
  assert.equal((await running.api('/networks/nosuch')).status, 404);
});

test('volumes: made, listed, used, removed, pruned', { timeout: 60_000 }, async () => {
  const { daemon, image } = await daemonWithImage();
  await using running = daemon;
  const body = { Name: 'v1', Labels: { a: 'b' } };
  const made = await running.api('/volumes/create', { method: 'POST', body });
  assert.equal(made.status, 201, made.body.toString());
  const volume = await get<{ Name: string; Mountpoint: string; Labels: Record<string, string> }>(
    running,
    '/volumes/v1',
  );
  assert.deepEqual(volume.Labels, { a: 'b' });
  assert.equal((await must('ls', [volume.Mountpoint])).trim(), '');
  const names = async (query: string): Promise<string[]> =>
    (await get<{ Volumes: { Name: string }[] }>(running, `/volumes${query}`)).Volumes.map(
      (each) => each.Name,
    );
  assert.deepEqual(await names(''), ['v1']);

  const container = { Image: image, Cmd: ['true'], HostConfig: { Binds: ['v1:/data'] } };
  const created = await running.api('/containers/create?name=user', { method: 'POST', body: container });
  assert.equal(created.status, 201, created.body.toString());
  assert.deepEqual(await names(`?${filters({ dangling: ['true'] })}`), []);
  assert.equal((await running.api('/volumes/v1', { method: 'DELETE' })).status, 409);
  const pruneUntil = (...values: string[]): ReturnType<TestDaemon['api']> =>
    running.api(`/containers/prune?${filters({ until: values })}`, { method: 'POST' });
  const young = await pruneUntil('24h');
  assert.deepEqual(young.json, { ContainersDeleted: null, SpaceReclaimed: 0 });
  for (const [values, message] of [
    [['foo'], 'failed to parse value as time or duration: "foo"'],
    [['1h', '2h'], 'more than one until filter specified'],
  ] as const) {
    const answer = await pruneUntil(...values);
    assert.deepEqual([answer.status, answer.json], [400, { message }]);
  }
  const pruned = await pruneUntil('-1h');
  assert.equal((pruned.json as { ContainersDeleted: string[] }).ContainersDeleted.length, 1);

  const all = await running.api(`/volumes/prune?${filters({ all: ['true'] })}`, { method: 'POST' });
  assert.deepEqual((all.json as { VolumesDeleted: string[] }).VolumesDeleted, ['v1']);
  await running.api('/volumes/create', { method: 'POST', body: { Name: 'v2' } });
  assert.equal((await running.api('/volumes/v2', { method: 'DELETE' })).status, 204);
  assert.equal((await running.api('/volumes/v2')).status, 404);
});

test('disk use: counts and sizes of what is there', { timeout: 60_000 }, async () => {
  const { daemon, image } = await daemonWithImage();
  await using running = daemon;
  await running.api('/containers/create', { method: 'POST', body: { Image: image } });
  await running.api('/volumes/create', { method: 'POST', body: { Name: 'v1' } });
  type Usage = {
    LayersSize: number;
    Images: unknown[];
    Containers: unknown[];
    Volumes: { UsageData: { RefCount: number } }[];
  };
  const usage = await get<Usage>(running, '/system/df');
  assert.ok(usage.LayersSize > 0);
  assert.deepEqual([usage.Images.length, usage.Containers.length, usage.Volumes.length], [1, 1, 1]);
  assert.equal(usage.Volumes[0]?.UsageData.RefCount, 0);
});
