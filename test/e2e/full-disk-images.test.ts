import assert from 'node:assert/strict';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { must, run, until } from '../support/command.ts';
import { TestDaemon } from '../support/daemon.ts';
import { dockerIsMissing } from '../support/e2e.ts';
import { tarOf } from '../support/images.ts';
import { push } from '../support/registry/fixture.ts';
import { startRegistry } from '../support/registry/real.ts';
import {
  knownImage,
  type KnownImage,
  listed,
  load,
  problemOf,
  remove,
  usedKib,
} from '../torture/known-image.ts';

/*
 * A disk that fills up in the middle of load, import, commit and push: the kernel's reason is told, nothing
 * is left behind, and the engine goes on. The same of pull is in registry/full-disk.test.ts.
 */

const DISK_MIB = 32;
const SLACK_KIB = 256;
const NO_SPACE = /no space left on device/;

async function withDisk(
  body: (daemon: TestDaemon) => Promise<void>,
  mounted: (daemon: TestDaemon) => string = ({ dataRoot }) => dataRoot,
  sizeMib = DISK_MIB,
): Promise<void> {
  const daemon = new TestDaemon({});
  const path = mounted(daemon);
  try {
    await daemon.prepare();
    await mkdir(path, { recursive: true });
    await must('mount', ['-t', 'tmpfs', '-o', `size=${sizeMib}m`, 'tmpfs', path]);
    await daemon.start();
    await body(daemon);
  } finally {
    await daemon.kill('SIGKILL');
    await run('umount', ['-l', path]);
    await rm(path, { recursive: true, force: true });
    await daemon[Symbol.asyncDispose]().catch(() => undefined);
  }
}

class Disk {
  readonly daemon: TestDaemon;
  readonly keeper: KnownImage = knownImage('small:v', 4, 50_000);
  readonly big: KnownImage = knownImage('big:v', 20, 2_000_000);
  #usedKib = 0;

  constructor(daemon: TestDaemon) {
    this.daemon = daemon;
  }

  async prepare(): Promise<void> {
    assert.equal(await load(this.daemon, this.keeper), true);
    this.#usedKib = await usedKib(this.daemon.dataRoot);
  }

  async post(path: string, raw?: Buffer): Promise<string> {
    const answer = await this.daemon.api(path, { method: 'POST', ...(raw !== undefined && { raw }) });
    return answer.body.toString();
  }

  /** What failed is as if it had never been tried. */
  async isClean(after: string): Promise<void> {
    const { daemon, keeper } = this;
    assert.deepEqual(await listed(daemon), [keeper.reference], after);
    for (const path of ['content/partial', 'content/ingest', 'pulls'])
      assert.deepEqual(await readdir(join(daemon.dataRoot, path)), [], `${after}: ${path}`);
    const layers = await readdir(join(daemon.dataRoot, 'overlay2'));
    const staged = layers.filter((name) => name.startsWith('.staged'));
    assert.deepEqual(staged, [], after);
    assert.equal(await problemOf(daemon, keeper.reference, keeper.hash), null, after);
    const leftKib = (await usedKib(daemon.dataRoot)) - this.#usedKib;
    assert.ok(leftKib < SLACK_KIB, `${after}: ${leftKib} KiB are left`);
  }
}

/** They are still sending when the disk is full: they get to read why. */
async function clientsSay(disk: Disk, tree: Buffer): Promise<void> {
  const { daemon, big } = disk;
  const archives = [
    ['load', '-q', '-i', `${daemon.root}/big.tar`],
    ['import', `${daemon.root}/tree.tar`, 'big:v'],
  ];
  await writeFile(`${daemon.root}/big.tar`, big.archive);
  await writeFile(`${daemon.root}/tree.tar`, tree);
  for (const args of archives) {
    const result = await daemon.docker(args);
    assert.equal(result.exit, 1, args.join(' '));
    assert.match(result.stderr, NO_SPACE, args.join(' '));
  }
}

test('a disk that fills up while images are made', { timeout: 120_000 }, async (context) => {
  const reason = await dockerIsMissing();
  if (reason !== false) return context.skip(reason);
  await withDisk(async (daemon) => {
    const disk = new Disk(daemon);
    await disk.prepare();
    assert.match(await disk.post('/images/load?quiet=1', disk.big.archive), NO_SPACE);
    await disk.isClean('after a load');
    const tree = tarOf(disk.big.tree);
    assert.match(await disk.post('/images/create?fromSrc=-&repo=big&tag=v', tree), NO_SPACE);
    await disk.isClean('after an import');
    await clientsSay(disk, tree);
    await disk.isClean('after docker load and docker import');
    const fill = 'dd if=/dev/urandom of=/fill bs=1048576 count=16';
    const body = { Image: disk.keeper.reference, Cmd: ['/bin/busybox', 'sh', '-c', `/bin/busybox ${fill}`] };
    await daemon.api('/containers/create?name=filler', { method: 'POST', body });
    await daemon.api('/containers/filler/start', { method: 'POST' });
    const ended = await daemon.api('/containers/filler/wait', { method: 'POST' });
    assert.deepEqual((ended.json as { StatusCode: number }).StatusCode, 0);
    assert.match(await disk.post('/commit?container=filler&repo=big&tag=v'), NO_SPACE);
    assert.deepEqual(await listed(daemon), [disk.keeper.reference]);
    assert.equal((await daemon.api('/containers/filler?force=1', { method: 'DELETE' })).status, 204);
    await disk.isClean('after a commit');
    // With room again, all of it works.
    const another = knownImage('another:v', 4, 500_000);
    assert.equal(await load(daemon, another), true);
    await daemon.restart('SIGTERM');
    assert.equal(await problemOf(daemon, another.reference, another.hash), null);
    assert.equal(await remove(daemon, another.reference), 200);
    await disk.isClean('after all');
  });
});

const REGISTRY = '127.0.0.1:5000';

test('a registry whose disk fills up while an image is pushed', { timeout: 120_000 }, async (context) => {
  const reason = await dockerIsMissing();
  if (reason !== false) return context.skip(reason);
  const place = ({ root }: TestDaemon): string => `${root}/registry`;
  await withDisk(
    async (daemon) => {
      const enter = ['nsenter', `--net=/run/netns/${daemon.network}`, '--'];
      await using registry = await startRegistry({
        kind: 'gantry',
        address: REGISTRY,
        enter,
        data: place(daemon),
      });
      const disk = new Disk(daemon);
      await disk.prepare();
      const pushed = async (image: KnownImage): Promise<string> => {
        const repo = image.reference.replace(/:.*$/, '');
        const path = `/images/${image.reference}/tag?repo=${encodeURIComponent(`${REGISTRY}/${repo}`)}&tag=v`;
        await disk.post(path);
        return (await push(daemon, `${REGISTRY}/${repo}:v`)).error;
      };
      assert.equal(await load(daemon, disk.big), true);
      // What clients say of any status that tells of a failure of the registry.
      assert.equal(await pushed(disk.big), 'received unexpected HTTP status: 507 Insufficient Storage');
      assert.equal(await problemOf(daemon, disk.big.reference, disk.big.hash), null);
      // It answers, and takes what there is room for; what the failed upload had brought is thrown away.
      const uploads = async (): Promise<boolean> => (await readdir(`${place(daemon)}/uploads`)).length === 0;
      await until(async () => ((await uploads()) ? true : undefined), { what: 'no upload is left' });
      assert.match(await registry.log(), NO_SPACE);
      assert.equal(await pushed(disk.keeper), '');
      await must('mount', ['-o', 'remount,size=64m', place(daemon)]);
      assert.equal(await pushed(disk.big), '');
    },
    place,
    8,
  );
});
