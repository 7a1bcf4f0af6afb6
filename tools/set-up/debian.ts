import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Transform, type TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Target } from '../build-steps/target.ts';
import { DIST } from '../paths.ts';
import { dockerEntries, layoutEntries, type LayerBlob } from './image-archive.ts';
import { writeTar } from './tar.ts';

const CACHE = join(DIST, 'cache');
const RELEASE = 'bookworm';
const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** A real distribution, as both formats carry it: a plain layer in one, a gzipped one in the other. */
export const DEBIAN = {
  docker: { reference: 'debian-saved:12', archive: join(CACHE, 'debian-docker.tar') },
  oci: { reference: 'debian-layout:12', archive: join(CACHE, 'debian-oci.tar') },
} as const;

export function mustRun(command: string, args: readonly string[]): void {
  const result = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 26 });
  if (result.status === 0) return;
  const why =
    result.error?.message ?? (result.stderr || result.stdout).trim().split('\n').slice(-5).join('\n');
  throw new Error(`${command} ${args.join(' ')}: ${why}`);
}

/** A root file system without what apt can fetch again. */
function makeLayer(layer: string): void {
  const root = join(CACHE, 'debian-root');
  rmSync(root, { recursive: true, force: true });
  try {
    mustRun('debootstrap', ['--variant=minbase', RELEASE, root]);
    for (const folder of ['var/cache/apt', 'var/lib/apt/lists', 'usr/share/doc', 'usr/share/locale'])
      rmSync(join(root, folder), { recursive: true, force: true });
    mustRun('tar', ['-C', root, '--numeric-owner', '--xattrs', '--one-file-system', '-cf', layer, '.']);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

class Digesting extends Transform {
  readonly #hash = createHash('sha256');

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#hash.update(chunk);
    done(null, chunk);
  }

  digest(): string {
    return `sha256:${this.#hash.digest('hex')}`;
  }
}

/** Compresses in pieces and takes both digests on the way. */
export async function layersOf(
  layer: string,
  gzipped: string,
  level = 1,
): Promise<{ plain: LayerBlob; gzip: LayerBlob }> {
  const [before, after] = [new Digesting(), new Digesting()];
  const output = createWriteStream(gzipped);
  await pipeline(
    createReadStream(layer, { highWaterMark: 1 << 20 }),
    before,
    createGzip({ level }),
    after,
    output,
  );
  const diffId = before.digest();
  const describe = (file: string, digest: string): LayerBlob => ({
    diffId,
    digest,
    sizeBytes: statSync(file).size,
    isGzip: digest !== diffId,
    body: { file },
  });
  return { plain: describe(layer, diffId), gzip: describe(gzipped, after.digest()) };
}

async function makeDebian(): Promise<undefined> {
  mkdirSync(CACHE, { recursive: true });
  const [layer, gzipped] = [join(CACHE, 'debian-layer.tar'), join(CACHE, 'debian-layer.tar.gz')];
  makeLayer(layer);
  const { plain, gzip } = await layersOf(layer, gzipped);
  const config = { Env: [PATH, 'LANG=C.UTF-8'], Cmd: ['bash'] };
  const saved = dockerEntries({ reference: DEBIAN.docker.reference, config, layers: [plain] });
  const layout = layoutEntries({ reference: DEBIAN.oci.reference, config, layers: [gzip] });
  for (const [path, { entries }] of [
    [DEBIAN.docker.archive, saved],
    [DEBIAN.oci.archive, layout],
  ] as const) {
    await writeTar(`${path}.new`, entries);
    renameSync(`${path}.new`, path);
  }
  for (const file of [layer, gzipped]) rmSync(file);
}

/** Made once, which takes about a minute: only another version of this file makes it again. */
export function debianTarget(): Target {
  const outputs = Object.values(DEBIAN).map(({ archive }) => archive);
  return { name: 'debian', outputs, inputs: [import.meta.filename], run: makeDebian };
}
