/** Images to and from registries and archives, on overlayfs as this kernel has it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clearImages, inspectImage, listImages, push, streamed } from './image-calls.ts';
import { ACCOUNT, CREDENTIALS, REGISTRY, startRegistry } from './registry.ts';
import { type Service, startService } from './service.ts';

async function commit(service: Service, id: string, target: string): Promise<string> {
  const [repo = '', tag = ''] = target.split(':');
  const changes = encodeURIComponent('ENV MADE=here');
  const path = `/commit?container=${id}&repo=${repo}&tag=${tag}&comment=why&changes=${changes}`;
  return ((await service.must(path, { method: 'POST', body: {} })).json as { Id: string }).Id;
}

/** Of every kind that a layer may have: links, a device, bits of the mode, owners. */
const FIRST = `mkdir /d && echo a > /d/a && echo b > /d/b && echo own > /own && ln /own /other &&
  ln -s own /link && chown 3:4 /own && chmod 4751 /own && mknod /null2 c 1 3`;
/** An opaque directory and a whiteout. */
const SECOND = 'rm -r /d && mkdir /d && echo c > /d/c && rm /etc/shadow';
const LOOK = `ls /d; cat /link; stat -c '%a %u %g %h' /other; echo x > /null2 && stat -c %t,%T /null2;
  test -e /etc/shadow || echo no shadow; echo $MADE`;
const SEEN = 'c\nown\n4751 3 4 2\n1,3\nno shadow\nhere\n';

async function looksRight(service: Service, Image: string): Promise<void> {
  const { exit, output } = await service.run({ Image, Cmd: ['sh', '-c', LOOK] });
  assert.deepEqual([exit, output], [0, SEEN], Image);
}

interface Made {
  readonly id: string;
  readonly layers: readonly string[];
}

async function makeImages(service: Service): Promise<Made> {
  const one = await service.run({ Cmd: ['sh', '-c', FIRST] });
  assert.equal(one.exit, 0, one.output);
  await commit(service, one.id, 'first:1');
  const two = await service.run({ Image: 'first:1', Cmd: ['sh', '-c', SECOND] });
  assert.equal(two.exit, 0, two.output);
  const changes = (await service.must(`/containers/${two.id}/changes`)).json as {
    Kind: number;
    Path: string;
  }[];
  const told = changes.map(({ Kind, Path }) => `${'CAD'.charAt(Kind)} ${Path}`).sort();
  assert.deepEqual(told, ['A /d/c', 'C /d', 'C /etc', 'D /d/a', 'D /d/b', 'D /etc/shadow']);
  const id = await commit(service, two.id, 'second:1');
  const { Id, RootFS } = await inspectImage(service, 'second:1');
  assert.deepEqual([Id, RootFS.Layers.length], [id, 3]);
  const history = (await service.must('/images/second:1/history')).json as { Comment: string }[];
  assert.equal(history[0]?.Comment, 'why');
  return { id, layers: RootFS.Layers };
}

test('commit, changes, save, load, export, import: what comes back is what went', async (t) => {
  await using service = await startService();
  const made = await makeImages(service);
  await looksRight(service, 'second:1');

  await t.test('an archive of two images', async () => {
    const archive = (await service.must('/images/get?names=second:1&names=first:1')).body;
    const single = (await service.must('/images/busybox/get')).body;
    await clearImages(service);
    await streamed(service, '/images/load', { raw: archive });
    assert.equal((await inspectImage(service, 'second:1')).Id, made.id);
    await looksRight(service, 'second:1');
    await streamed(service, '/images/load', { raw: single });
  });

  await t.test('what is told about them', async () => {
    const explained = await service.gantry(['image', 'explain', 'second:1']);
    assert.match(explained.stdout, /Layers:|WASTED/i, explained.stderr);
    const difference = await service.gantry(['image', 'diff', 'first:1', 'second:1']);
    assert.match(difference.stdout, /^D \/etc\/shadow /m, difference.stderr);
    assert.match(difference.stdout, /^A \/d\/c /m);
    const before = await listImages(service);
    const plan = await service.gantry(['image', 'prune', '--all', '--dry-run']);
    assert.match(plan.stdout, /WOULD REMOVE/, plan.stderr);
    assert.equal((await listImages(service)).length, before.length);
    const removed = (await service.must('/images/first:1', { method: 'DELETE' })).json;
    assert.deepEqual((removed as { Untagged?: string }[])[0], { Untagged: 'first:1' });
  });

  await t.test('a tree', async () => {
    const id = await service.launch({ Image: 'second:1', Cmd: ['sh', '-c', 'echo e > /e; exec sleep 1000'] });
    const tree = (await service.must(`/containers/${id}/export`)).body;
    await service.must(`/containers/${id}?force=1`, { method: 'DELETE' });
    const change = encodeURIComponent('ENV MADE=here');
    await streamed(service, `/images/create?fromSrc=-&repo=flat&tag=1&changes=${change}`, { raw: tree });
    assert.equal((await inspectImage(service, 'flat:1')).RootFS.Layers.length, 1);
    await looksRight(service, 'flat:1');
  });
});

test('a registry of our own: login, push, search, pull, after its death too', async (t) => {
  await using registry = await startRegistry();
  await using service = await startService();
  const made = await makeImages(service);
  const [repository, headers] = [`${REGISTRY}/team/second`, CREDENTIALS];
  let digest = '';

  await t.test('login and push', async () => {
    const login = (password: string): Promise<{ status: number }> =>
      service.api('/auth', { method: 'POST', body: { ...ACCOUNT, password } });
    assert.equal((await login(ACCOUNT.password)).status, 200);
    assert.notEqual((await login('wrong')).status, 200);
    await service.must(`/images/second:1/tag?repo=${repository}&tag=v`, { method: 'POST' });
    digest = await push(service, { repository, tag: 'v' }, headers);
  });

  await t.test('what the registry knows', async () => {
    await registry.crash();
    const told = await service.must(`/distribution/${repository}:v/json`, { headers });
    const { Descriptor, Platforms } = told.json as {
      Descriptor: { digest: string };
      Platforms: { architecture: string }[];
    };
    assert.deepEqual([Descriptor.digest, Platforms[0]?.architecture], [digest, 'amd64']);
    const found = await service.must(`/images/search?term=${REGISTRY}/second`, { headers });
    assert.deepEqual(
      (found.json as { name: string }[]).map(({ name }) => name.replace(`${REGISTRY}/`, '')),
      ['team/second'],
    );
  });

  await t.test('pull, by tag and by digest', async () => {
    await clearImages(service);
    const refused = await service.api(`/images/create?fromImage=${repository}&tag=v`, { method: 'POST' });
    assert.match(refused.body.toString(), /no basic auth credentials/);
    const plan = `/gantry/v1/images/plan-pull?reference=${repository}:v`;
    const planned = (await service.must(plan, { method: 'POST', headers })).json as { DownloadBytes: number };
    assert.ok(planned.DownloadBytes > 0);
    await streamed(service, `/images/create?fromImage=${repository}&tag=v`, { headers });
    const pulled = await inspectImage(service, `${repository}:v`);
    assert.deepEqual([pulled.Id, pulled.RootFS.Layers], [made.id, made.layers]);
    assert.deepEqual(pulled.RepoDigests, [`${repository}@${digest}`]);
    await looksRight(service, `${repository}:v`);
    await clearImages(service);
    await streamed(service, `/images/create?fromImage=${repository}@${digest}`, { headers });
    assert.equal((await inspectImage(service, `${repository}@${digest}`)).Id, made.id);
    await service.crash();
    await looksRight(service, `${repository}@${digest}`);
  });
});
