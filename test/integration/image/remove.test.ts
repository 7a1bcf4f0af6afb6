import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isEngineError, type ErrorKind } from '#base/errors.ts';
import { dockerArchive, imageFixture } from './image-fixture.ts';

const LAYER = [{ name: 'bin/' }, { name: 'bin/sh', content: 'shell', mode: 0o755 }];
const USER = 'c'.repeat(64);

async function refused(work: Promise<unknown>, kind: ErrorKind, text: string): Promise<void> {
  await assert.rejects(work, (error) => isEngineError(error, kind) && error.message === text);
}

test('removing a name, the last name, and an image that is not there', async (t) => {
  const fix = await imageFixture(t);
  await fix.load(dockerArchive([{ names: ['a:1', 'b:1'], layers: [LAYER] }]));
  const { id, chainId } = await fix.images.resolve('a:1');
  fix.events.length = 0;
  assert.deepEqual(await fix.images.remove('a:1'), [{ Untagged: 'a:1' }]);
  assert.deepEqual(await fix.images.remove('b:1'), [
    { Untagged: 'b:1' },
    { Deleted: id },
    { Deleted: chainId },
  ]);
  assert.deepEqual(
    fix.events.map((event) => [event.action, event.attributes['name']]),
    [
      ['untag', id],
      ['untag', id],
      ['delete', id],
    ],
  );
  await refused(fix.images.remove('nope'), 'notFound', 'No such image: nope:latest');
  await fix.storage.snapshotter.idle();
  assert.deepEqual(readdirSync(join(fix.root, 'content/blobs/sha256')), []);
  assert.deepEqual(readdirSync(join(fix.root, 'overlay2/.removed')), []);
  await fix.reopen();
  assert.deepEqual(await fix.images.list(), []);
});

test('what containers use is kept, with the texts that clients know', async (t) => {
  const fix = await imageFixture(t);
  await fix.load(dockerArchive([{ names: ['a:1'], layers: [LAYER] }]));
  const { id } = await fix.images.resolve('a:1');
  const short = id.slice(7, 19);
  const user = USER.slice(0, 12);
  fix.uses.set(id, [{ containerId: USER, running: false }]);
  await refused(
    fix.images.remove('a:1'),
    'conflict',
    `conflict: unable to remove repository reference "a:1" (must force) - container ${user} is using its referenced image ${short}`,
  );
  await refused(
    fix.images.remove(short),
    'conflict',
    `conflict: unable to delete ${short} (must be forced) - image is being used by stopped container ${user}`,
  );
  fix.uses.set(id, [{ containerId: USER, running: true }]);
  await refused(
    fix.images.remove(id, { force: true }),
    'conflict',
    `conflict: unable to delete ${short} (cannot be forced) - image is being used by running container ${user}`,
  );
  assert.deepEqual(await fix.images.remove('a:1', { force: true }), [{ Untagged: 'a:1' }]);
  assert.equal(fix.images.get(id)?.repoTags.length, 0);
  fix.uses.clear();
  const { deleted } = await fix.images.prune(new Map([['dangling', ['true']]]));
  assert.equal(deleted.length, 2);
});

test('an image with several names is not removed by its id without force', async (t) => {
  const fix = await imageFixture(t);
  await fix.load(dockerArchive([{ names: ['a:1', 'b:1'], layers: [LAYER] }]));
  const { id } = await fix.images.resolve('a:1');
  const short = id.slice(7, 19);
  await refused(
    fix.images.remove(short),
    'conflict',
    `conflict: unable to delete ${short} (must be forced) - image is referenced in multiple repositories`,
  );
  const removed = await fix.images.remove(short, { force: true });
  assert.deepEqual(removed.slice(0, 3), [{ Untagged: 'a:1' }, { Untagged: 'b:1' }, { Deleted: id }]);
});

test('lists are filtered as clients ask', async (t) => {
  const fix = await imageFixture(t);
  const labelled = {
    names: ['imp:2'],
    layers: [LAYER],
    config: { Labels: { l: 'v' } },
    created: '2025-01-01T00:00:00Z',
  };
  await fix.load(dockerArchive([{ names: ['imp:1', 'busybox:latest'], layers: [LAYER] }, labelled]));
  const names = async (key: string, value: string): Promise<string[]> =>
    (await fix.images.list({ filters: new Map([[key, [value]]]) })).flatMap((image) => image.RepoTags);
  assert.deepEqual(await names('label', 'l=v'), ['imp:2']);
  assert.deepEqual(await names('reference', 'imp:*'), ['imp:2', 'imp:1']);
  assert.deepEqual(await names('reference', 'busybox'), ['busybox:latest']);
  assert.deepEqual(await names('reference', 'A B'), []);
  assert.deepEqual(await names('before', 'imp:2'), ['busybox:latest', 'imp:1']);
  assert.deepEqual(await names('since', 'imp:1'), ['imp:2']);
  assert.deepEqual(await names('dangling', 'true'), []);
  await refused(names('since', 'nope'), 'notFound', 'No such image: nope:latest');
  await refused(names('nosuch', '1'), 'invalidArgument', "invalid filter 'nosuch'");
  await refused(names('dangling', 'maybe'), 'invalidArgument', "invalid filter 'dangling=[maybe]'");
});

test('until: how long ago, a date or seconds, for lists and prunes', async (t) => {
  const fix = await imageFixture(t);
  const made = (name: string, created: string) => ({ names: [name], layers: [LAYER], created });
  await fix.load(
    dockerArchive([made('old:1', '2020-01-01T00:00:00Z'), made('new:1', new Date().toISOString())]),
  );
  const until = (...values: string[]) => new Map([['until', values]]);
  const names = async (...values: string[]): Promise<string[]> =>
    (await fix.images.list({ filters: until(...values) })).flatMap((image) => image.RepoTags);
  assert.deepEqual(await names('24h'), ['old:1']);
  assert.deepEqual(await names('-1h'), ['new:1', 'old:1']);
  assert.deepEqual(await names('2020-01-02'), ['old:1']);
  assert.deepEqual(await names('2019-12-30'), []);
  assert.deepEqual(await names('1577836801'), ['old:1']);
  assert.deepEqual(await names('-1h', '2019-12-30'), [], 'the earliest counts');
  const bad = 'failed to parse value as time or duration: "foo"';
  await refused(names('foo'), 'internal', bad);

  const prune = async (...values: string[]): Promise<string[]> => {
    const filters = new Map([...until(...values), ['dangling', ['false']]]);
    const { deleted } = await fix.images.prune(filters);
    return deleted.flatMap((each) => ('Untagged' in each ? [each.Untagged] : []));
  };
  await refused(prune('foo'), 'internal', bad);
  await refused(prune('1h', '2h'), 'internal', 'more than one until filter specified');
  assert.deepEqual(await prune('2019-12-30'), []);
  assert.deepEqual(await prune('24h'), ['old:1']);
  assert.deepEqual(await names('-1h'), ['new:1']);
});
