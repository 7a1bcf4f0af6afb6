import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { until } from '../../support/command.ts';
import { clearImages, inspectImage, streamed } from '../image-calls.ts';
import { CREDENTIALS, REGISTRY, startRegistry } from '../registry.ts';
import { startService } from '../service.ts';
import { DATA_ROOT, LEDGER, type Ledger, REGISTRY_DATA } from './ledger.ts';

test('what was acknowledged before the power was cut is true after it', async () => {
  assert.ok(existsSync(LEDGER), 'the power was cut before anything was acknowledged');
  const { created, removed } = JSON.parse(readFileSync(LEDGER, 'utf8')) as Ledger;
  await using service = await startService({ dataRoot: DATA_ROOT, images: [] });
  const list = (await service.must('/containers/json?all=1')).json as { Id: string }[];
  const listed = new Set(list.map(({ Id }) => Id));
  const { automatic = '', ...kept } = created;
  for (const [name, id] of Object.entries(kept)) assert.ok(listed.has(id), `${name} is lost`);
  for (const id of removed) assert.ok(!listed.has(id), `${id} came back`);
  assert.ok(!listed.has(automatic), 'a container with --rm is still there');

  const of = (name: string): Promise<Record<string, unknown>> => service.state(kept[name] ?? '');
  const running = await of('running');
  assert.deepEqual([running.Status, running.ExitCode], ['exited', 255]);
  assert.equal((await of('stopped')).Status, 'exited', 'stopped by its user, so it stays down');
  const ended = await of('ended');
  assert.deepEqual([ended.Status, ended.ExitCode], ['exited', 6]);
  assert.equal((await of('last')).Status, 'created');
  await until(async () => ((await of('policy')).Status === 'running' ? true : undefined), {
    what: 'the container that restarts always',
    timeoutMs: 60_000,
  });
  // The image came whole through the cut.
  const again = await service.run({ Cmd: ['echo', 'alive'] });
  assert.deepEqual([again.exit, again.output], [0, 'alive\n']);
});

test('what the registry acknowledged before the power was cut is whole after it', async () => {
  const { pushed } = JSON.parse(readFileSync(LEDGER, 'utf8')) as Ledger;
  await using _registry = await startRegistry(REGISTRY_DATA);
  await using service = await startService({ images: [] });
  const repository = `${REGISTRY}/team/app`;
  for (const [tag, digest] of Object.entries(pushed)) {
    await streamed(service, `/images/create?fromImage=${repository}&tag=${tag}`, { headers: CREDENTIALS });
    const { RepoDigests } = await inspectImage(service, `${repository}:${tag}`);
    assert.deepEqual(RepoDigests, [`${repository}@${digest}`]);
    const { output } = await service.run({ Image: `${repository}:${tag}`, Cmd: ['echo', 'whole'] });
    assert.equal(output, 'whole\n');
    await clearImages(service);
  }
});
