import { createHash } from 'node:crypto';
import {
  existsSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { arch } from 'node:os';
import { join } from 'node:path';
import type { Target } from '../build-steps/target.ts';
import { DIST } from '../paths.ts';
import { layersOf, mustRun } from './debian.ts';
import { dockerEntries, type LayerBlob } from './image-archive.ts';
import { writeTar } from './tar.ts';

/**
 * An image of half a gigabyte in five layers and some 21,000 files, for measuring: a Debian with compilers,
 * cut along its list of files.
 */
const FOLDER = join(DIST, 'cache', 'big');
const ROOT_FOLDER = join(FOLDER, 'root');
const RELEASE = 'bookworm';
const PACKAGES = 'gcc,g++,python3,git,perl,vim,cmake';
const LAYERS = 5;
const GZIP_LEVEL = 6;
/** What apt can fetch again, and big files that nobody looks at: as patterns of a shell. */
const LEFT_OUT = [
  ...['var/cache/apt', 'var/lib/apt/lists', 'usr/bin/*-lto-dump-12', 'usr/bin/ctest', 'usr/bin/cpack'],
  ...['usr/lib/gcc/*/12/lto1', 'usr/lib/gcc/*/12/cc1plus', 'usr/lib/*/libicudata.so.*.*'],
];
const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
export const BIG_IMAGE = {
  reference: 'big:1',
  /** With plain layers, as `docker save` writes them. */
  archive: join(FOLDER, 'image.tar'),
  /** What a registry is given: documents and compressed layers, see `BigImage`. */
  description: join(FOLDER, 'image.json'),
} as const;

export interface BigImage {
  readonly manifest: string;
  readonly mediaType: string;
  readonly config: string;
  readonly layers: readonly { readonly digest: string; readonly sizeBytes: number; readonly file: string }[];
}

export function readBigImage(): BigImage {
  return JSON.parse(readFileSync(BIG_IMAGE.description, 'utf8')) as BigImage;
}

function makeRoot(): void {
  if (existsSync(join(ROOT_FOLDER, 'etc/debian_version'))) return;
  rmSync(ROOT_FOLDER, { recursive: true, force: true });
  mustRun('debootstrap', ['--variant=minbase', `--include=${PACKAGES}`, RELEASE, ROOT_FOLDER]);
}

function listed(folder: string, prefix: string): { path: string; sizeBytes: number }[] {
  return readdirSync(folder, { withFileTypes: true })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = `${prefix}${entry.name}`;
      const sizeBytes = entry.isFile() ? statSync(join(folder, entry.name)).size : 0;
      const below = entry.isDirectory() ? listed(join(folder, entry.name), `${path}/`) : [];
      return [{ path, sizeBytes }, ...below];
    });
}

/** Paths in order, cut where a fifth of the bytes is full. */
function cut(): string[][] {
  const entries = listed(ROOT_FOLDER, '');
  const share = entries.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) / LAYERS;
  const parts: string[][] = Array.from({ length: LAYERS }, () => []);
  let before = 0;
  for (const { path, sizeBytes } of entries) {
    parts[Math.min(LAYERS - 1, Math.floor(before / share))]?.push(path);
    before += sizeBytes;
  }
  return parts;
}

async function makeLayers(): Promise<{ plain: LayerBlob; gzip: LayerBlob; file: string }[]> {
  const made = [];
  for (const [index, paths] of cut().entries()) {
    const [tar, file] = [join(FOLDER, `layer${index}.tar`), join(FOLDER, `layer${index}.tar.gz`)];
    const list = join(FOLDER, 'list');
    writeFileSync(list, `${paths.join('\n')}\n`);
    const flags = ['--numeric-owner', '--no-recursion', '--xattrs', '-T', list];
    mustRun('tar', ['-C', ROOT_FOLDER, ...flags, '-cf', tar]);
    rmSync(list);
    made.push({ ...(await layersOf(tar, file, GZIP_LEVEL)), file });
  }
  return made;
}

function describe(layers: readonly { plain: LayerBlob; gzip: LayerBlob; file: string }[]): BigImage {
  const type = 'application/vnd.docker';
  const config = JSON.stringify({
    created: '1970-01-01T00:00:00Z',
    architecture: arch() === 'x64' ? 'amd64' : arch(),
    os: 'linux',
    config: { Env: [PATH], Cmd: ['bash'] },
    rootfs: { type: 'layers', diff_ids: layers.map(({ plain }) => plain.diffId) },
    history: layers.map(() => ({ created: '1970-01-01T00:00:00Z', created_by: 'set-up' })),
  });
  const mediaType = `${type}.distribution.manifest.v2+json`;
  const digest = `sha256:${createHash('sha256').update(config).digest('hex')}`;
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType,
    config: { mediaType: `${type}.container.image.v1+json`, size: Buffer.byteLength(config), digest },
    layers: layers.map(({ gzip }) => ({
      mediaType: `${type}.image.rootfs.diff.tar.gzip`,
      size: gzip.sizeBytes,
      digest: gzip.digest,
    })),
  });
  const blobs = layers.map(({ gzip, file }) => ({ digest: gzip.digest, sizeBytes: gzip.sizeBytes, file }));
  return { manifest, mediaType, config, layers: blobs };
}

async function makeBigImage(): Promise<undefined> {
  mkdirSync(FOLDER, { recursive: true });
  makeRoot();
  for (const path of globSync(LEFT_OUT, { cwd: ROOT_FOLDER }))
    rmSync(join(ROOT_FOLDER, path), { recursive: true, force: true });
  const layers = await makeLayers();
  const config = { Env: [PATH], Cmd: ['bash'] };
  const { reference, archive, description } = BIG_IMAGE;
  const { entries } = dockerEntries({ reference, config, layers: layers.map(({ plain }) => plain) });
  await writeTar(`${archive}.new`, entries);
  renameSync(`${archive}.new`, archive);
  writeFileSync(description, JSON.stringify(describe(layers)));
  for (const { plain } of layers) if (plain.body.file !== undefined) rmSync(plain.body.file);
  rmSync(ROOT_FOLDER, { recursive: true, force: true });
}

/** Takes some minutes; only another version of this file makes it again. */
export function bigImageTarget(): Target {
  const { archive, description } = BIG_IMAGE;
  return {
    name: 'big-image',
    outputs: [archive, description],
    inputs: [import.meta.filename],
    run: makeBigImage,
  };
}
