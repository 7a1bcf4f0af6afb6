/**
 * The daemon's peak of memory has one bound, whatever the image: many layers, one big one, large windows.
 * Each kind is a new daemon's first: threads that unpacked an image before keep some memory until they end.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { constants, gzipSync, zstdCompressSync } from 'node:zlib';
import { dockerEntries, type LayerBlob } from '../../../tools/set-up/image-archive.ts';
import { tarOf } from '../../../tools/set-up/tar.ts';
import type { TestDaemon } from '../../support/daemon.ts';
import { pull, registryTest, type RegistryTestOptions } from '../../support/registry/fixture.ts';
import { digestOf, HERE, MEDIA } from '../../support/registry/content.ts';
import { OPEN_REGISTRY } from '../../support/registry/plan.ts';
import type { Standin } from '../../support/registry/standin.ts';

const R = '127.0.0.1:5000';
const MIB = 1024 * 1024;
/** 250 MB. */
const BOUND_KIB = 238 * 1024;
const LAYERS = 127;

interface Packed {
  readonly name: string;
  readonly layers: readonly LayerBlob[];
}

function layer(tar: Buffer, bytes: Buffer): LayerBlob {
  const body = { content: bytes };
  return { diffId: digestOf(tar), digest: digestOf(bytes), sizeBytes: bytes.length, isGzip: false, body };
}

/** Random content, and more that is made of it: what a decoder must look back far for. */
function tarOfFar(sizeMib: number, randomMib: number): Buffer {
  const random = randomBytes(randomMib * MIB);
  const content = Buffer.alloc(sizeMib * MIB);
  for (let at = 0; at < content.length; at += 16 * random.length) random.copy(content, at);
  random.copy(content, content.length - random.length);
  return tarOf([{ path: 'blob', content }]);
}

function zstdWithWindow(tar: Buffer, windowLog: number): Buffer {
  const { ZSTD_c_windowLog, ZSTD_c_compressionLevel, ZSTD_c_enableLongDistanceMatching } = constants;
  const params = {
    ...{ [ZSTD_c_windowLog]: windowLog, [ZSTD_c_compressionLevel]: 1 },
    [ZSTD_c_enableLongDistanceMatching]: 1,
  };
  return zstdCompressSync(tar, { params });
}

function xzOf(tar: Buffer): Buffer {
  const args = ['-c', '-T1', '--lzma2=preset=0,dict=64MiB'];
  const { status, stdout, stderr } = spawnSync('xz', args, { input: tar, maxBuffer: 256 * MIB });
  assert.equal(status, 0, stderr.toString());
  return stdout;
}

function deep(name: string): Packed {
  const layers = Array.from({ length: LAYERS }, (_, index) => {
    const tar = tarOf([{ path: `l${index}`, content: Buffer.alloc(64 * 1024, `${name} ${index} `) }]);
    return layer(tar, gzipSync(tar));
  });
  return { name, layers };
}

function zstd(name: string, windowLog: number): Packed {
  const tar = tarOfFar(140, 4);
  return { name, layers: [layer(tar, zstdWithWindow(tar, windowLog))] };
}

function xz(name: string): Packed {
  const tar = tarOfFar(72, 2);
  return { name, layers: [layer(tar, xzOf(tar))] };
}

function big(name: string): Packed {
  const tar = tarOfFar(160, 20);
  return { name, layers: [layer(tar, gzipSync(tar, { level: 1 }))] };
}

async function offer(standin: Standin, { name, layers }: Packed): Promise<void> {
  for (const { body } of layers) await standin.content.addBlob(name, body.content as Buffer);
  const rootfs = { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) };
  const config = Buffer.from(JSON.stringify({ ...HERE, config: { Labels: { name } }, rootfs, history: [] }));
  const digest = await standin.content.addBlob(name, config);
  const media = MEDIA.oci;
  const mediaType = media.layers[name.startsWith('zstd') ? 'zstd' : 'gzip'];
  const manifest = {
    ...{ schemaVersion: 2, mediaType: media.manifest },
    config: { mediaType: media.config, digest, size: config.length },
    layers: layers.map((one) => ({ mediaType, digest: one.digest, size: one.sizeBytes })),
  };
  const bytes = Buffer.from(JSON.stringify(manifest));
  await standin.content.document(name, { tag: 'v', mediaType: media.manifest, bytes });
}

async function peakKib({ pid }: TestDaemon): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0);
}

/** From what is resident at the beginning on, which what was before has left. */
async function within(daemon: TestDaemon, what: string, work: () => Promise<void>): Promise<void> {
  await writeFile(`/proc/${daemon.pid}/clear_refs`, '5');
  await work();
  const peak = await peakKib(daemon);
  assert.ok(peak > 0 && peak <= BOUND_KIB, `${what}: ${Math.round(peak / 1024)} MiB`);
}

async function pulls(daemon: TestDaemon, names: readonly string[]): Promise<void> {
  const answers = await Promise.all(names.map((name) => pull(daemon, `${R}/${name}:v`)));
  for (const { error } of answers) assert.equal(error, '');
}

async function load(daemon: TestDaemon, raw: Buffer): Promise<void> {
  const { status, body } = await daemon.api('/images/load?quiet=1', { method: 'POST', raw });
  assert.equal(status, 200);
  assert.match(body.toString(), /Loaded image: loaded[\w-]*:v/);
}

function archive(name: string, layers: readonly LayerBlob[]): Buffer {
  return tarOf(dockerEntries({ reference: `${name}:v`, config: {}, layers }).entries);
}

const OPTIONS: RegistryTestOptions = {
  ...{ hosts: { [R]: [OPEN_REGISTRY] }, tls: 'none', timeoutMs: 300_000 },
  skip: existsSync('/usr/bin/xz') ? false : 'no xz',
};

registryTest('the daemon has its memory, whatever the image', OPTIONS, async ({ daemon, standin }) => {
  const packed = [deep('deep'), big('big'), zstd('zstd', 27), xz('xz')];
  for (const image of packed) await offer(standin, image);
  await standin.reload();
  for (const { name, layers } of packed) {
    await daemon.restart('SIGTERM');
    await within(daemon, `pull of ${name}`, () => pulls(daemon, [name]));
    await daemon.mustDocker(['rmi', `${R}/${name}:v`]);
    await within(daemon, `load of ${name}`, () => load(daemon, archive('loaded', layers)));
    await daemon.mustDocker(['rmi', 'loaded:v']);
  }
});

registryTest('archives of images that look back far themselves', OPTIONS, async ({ daemon, standin }) => {
  const beside = zstd('zstd', 27);
  await offer(standin, beside);
  await standin.reload();
  const archives = ['loaded-one', 'loaded-other'].map((name) => {
    const tar = tarOfFar(140, 4);
    return zstdWithWindow(archive(name, [layer(tar, tar)]), 27);
  });
  await daemon.restart('SIGTERM');
  await within(daemon, 'two loads beside a pull', async () => {
    await Promise.all([...archives.map((raw) => load(daemon, raw)), pulls(daemon, ['zstd'])]);
  });
});

/** Names in one list are pulled at once, lists one right after the other. */
const TOGETHER: readonly (readonly (readonly string[])[])[] = [
  [['big', 'xz', 'deep']],
  [['zstd', 'big', 'deep']],
  [['zstd', 'zstd-usual', 'deep']],
  [['zstd', 'zstd-other', 'big']],
  [['deep'], ['zstd']],
  [['deep', 'deep-other'], ['zstd']],
  [['xz', 'xz-other', 'deep']],
  [['deep', 'deep-other', 'deep-third']],
];

registryTest('whatever is pulled beside it, or was right before it', OPTIONS, async ({ daemon, standin }) => {
  const packed = [
    ...[deep('deep'), deep('deep-other'), deep('deep-third'), big('big')],
    ...[zstd('zstd', 27), zstd('zstd-other', 27), zstd('zstd-usual', 23), xz('xz'), xz('xz-other')],
  ];
  for (const image of packed) await offer(standin, image);
  await standin.reload();
  for (const steps of TOGETHER) {
    await daemon.restart('SIGTERM');
    await within(daemon, steps.map((names) => names.join(' + ')).join(', then '), async () => {
      for (const names of steps) await pulls(daemon, names);
    });
    for (const name of new Set(steps.flat())) await daemon.mustDocker(['rmi', `${R}/${name}:v`]);
  }
});
