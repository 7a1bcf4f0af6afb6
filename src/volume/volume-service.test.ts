import assert from 'node:assert/strict';
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { silentLog } from '#base/log.ts';
import { createKernel } from '#host/real.ts';
import type { MountInput } from './model.ts';
import { createVolumeService } from './volume-service.ts';

const kernel = createKernel();
const root = mkdtempSync(join(tmpdir(), 'gantry-volume-'));
after(() => rmSync(root, { recursive: true, force: true }));
const open = (name: string) => createVolumeService({ dataRoot: join(root, name), kernel, log: silentLog });
const input = (change: Partial<MountInput>): MountInput => ({
  binds: [],
  mounts: [],
  tmpfs: {},
  volumes: [],
  ...change,
});

test('named and anonymous volumes live as long as they should', async () => {
  const service = open('a');
  await service.boot();
  const planned = await service.planMounts(input({ binds: ['data:/v'], volumes: ['/anon'] }));
  const mounts = await service.acquire('c1', planned);
  assert.deepEqual(
    mounts.map((m) => [m.name === 'data', m.mode, m.driver, existsSync(m.source)]),
    [
      [true, 'z', 'local', true],
      [false, '', 'local', true],
    ],
  );
  assert.equal(service.inspect('data').Mountpoint, join(root, 'a/volumes/data/_data'));
  await assert.rejects(service.remove('data'), {
    kind: 'conflict',
    message: 'remove data: volume is in use - [c1]',
  });
  const next = open('a');
  await next.boot();
  next.restore('c1', mounts);
  assert.deepEqual(
    next
      .list()
      .map((v) => v.Name)
      .sort(),
    mounts.map((m) => m.name).sort(),
  );
  assert.deepEqual(next.usedBy('data'), ['c1']);
  await next.release('c1', { mounts, removeAnonymous: true });
  assert.deepEqual(
    next.list().map((v) => v.Name),
    ['data'],
  );
  await next.remove('data');
  assert.throws(() => next.inspect('data'), { kind: 'notFound', message: 'get data: no such volume' });
  assert.deepEqual(readdirSync(join(root, 'a/volumes')), []);
});

test('wrong volumes are refused and leave nothing', async () => {
  const service = open('b');
  await service.boot();
  await assert.rejects(
    service.create({ name: 'a b' }),
    /create a b: "a b" includes invalid characters for a local volume name/,
  );
  await assert.rejects(service.create({ name: 'v2', options: { nosuch: '1' } }), {
    message: 'create v2: invalid option: "nosuch"',
  });
  await assert.rejects(service.create({ name: 'v3', driver: 'nfs' }), /plugin "nfs" not found/);
  const planned = await service.planMounts(input({ volumes: ['/anon'], binds: ['../x:/y'] }));
  await assert.rejects(service.acquire('c1', planned), /includes invalid characters/);
  await assert.rejects(service.create({ name: 'v'.repeat(300) }), /ENAMETOOLONG/);
  assert.deepEqual(readdirSync(join(root, 'b/volumes')), []);
  assert.deepEqual(service.list(), []);
  const view = await service.create({});
  assert.deepEqual(view.Labels, { 'com.docker.volume.anonymous': '' });
});

test('a damaged record costs its labels, not the data', async () => {
  const service = open('c');
  await service.boot();
  const { Mountpoint } = await service.create({ name: 'keep', labels: { a: 'b' } });
  writeFileSync(join(Mountpoint, 'f'), 'x');
  writeFileSync(join(root, 'c/volumes/keep/volume.json'), 'garbage');
  const next = open('c');
  await next.boot();
  assert.equal(next.inspect('keep').Labels, null);
  assert.ok(existsSync(join(Mountpoint, 'f')));
  assert.equal(readdirSync(join(root, 'c/quarantine')).length, 1);
});

test('bind sources: --mount wants them, -v makes them, links count', async () => {
  const service = open('d');
  await service.boot();
  const missing = join(root, 'no', 'such');
  const mount = { Type: 'bind', Source: missing, Target: '/x' };
  await assert.rejects(service.planMounts(input({ mounts: [mount] })), {
    kind: 'invalidArgument',
    message: `invalid mount config for type "bind": bind source path does not exist: ${missing}`,
  });
  const mounts = await service.planMounts(input({ binds: [`${missing}:/x`] }));
  assert.ok(!existsSync(missing));
  await service.prepareSources(mounts);
  assert.ok(statSync(missing).isDirectory());
  symlinkSync(missing, join(root, 'link'));
  await service.prepareSources(
    await service.planMounts(input({ mounts: [{ ...mount, Source: join(root, 'link') }] })),
  );
  writeFileSync(join(root, 'file'), '');
  await assert.rejects(
    service.prepareSources(await service.planMounts(input({ binds: [`${root}/file/below:/x`] }))),
    /error while creating mount source path/,
  );
});

test('what happens to volumes is told, pruned ones are counted', async () => {
  const told: string[] = [];
  const service = createVolumeService({
    dataRoot: join(root, 'events'),
    kernel,
    log: silentLog,
    onEvent: ({ action, name }) => told.push(`${action} ${name}`),
  });
  await service.boot();
  const mounts = await service.acquire('c1', await service.planMounts(input({ binds: ['data:/v'] })));
  service.mounted('c1', mounts);
  const data = service.inspect('data').Mountpoint;
  mkdirSync(join(data, 'sub'));
  writeFileSync(join(data, 'sub/f'), 'four');
  linkSync(join(data, 'sub/f'), join(data, 'again'));
  symlinkSync('/etc', join(data, 'elsewhere'));
  assert.equal(await service.sizeBytes('data'), 4);
  assert.deepEqual(await service.prune(() => true), { names: [], sizeBytes: 0 });
  service.unmounted('c1', mounts);
  await service.release('c1', { mounts, removeAnonymous: true });
  assert.deepEqual(await service.prune(() => false), { names: [], sizeBytes: 0 });
  assert.deepEqual(await service.prune(() => true), { names: ['data'], sizeBytes: 4 });
  assert.deepEqual(told, ['create data', 'mount data', 'unmount data', 'destroy data']);
});
