import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '#base/limits.ts';
import { digestHex, digestOf, type Digest } from '#oci/digest.ts';
import { parsePlatform } from '#oci/platform.ts';
import { familiarReference } from '#oci/reference.ts';
import { ArchiveIndex } from './archive-index.ts';
import { readDockerArchive, type OfferedImage } from './docker-archive.ts';
import { readOciLayout, type LayoutPlatforms } from './oci-layout.ts';

const CONFIG = 'config.json';
const PLATFORMS: LayoutPlatforms = { asked: [], host: parsePlatform('linux/amd64') };
const namesOf = (images: readonly OfferedImage[]): string[][] =>
  images.map(({ names }) => names.map(familiarReference));
const tags = (count: number): string[] => Array.from({ length: count }, (_, i) => `localhost/x:${i}`);

/** Says how often each document was asked for. */
class CountingIndex extends ArchiveIndex {
  readonly asked = new Map<string, number>();

  override document(path: string, maxBytes: number): Buffer {
    this.asked.set(path, (this.asked.get(path) ?? 0) + 1);
    return super.document(path, maxBytes);
  }

  add(path: string, value: unknown): void {
    this.addDocument(path, Buffer.from(JSON.stringify(value)));
  }

  /** Returns a descriptor of it. */
  addBlob(value: unknown): { readonly digest: Digest; readonly size: number; readonly mediaType: string } {
    const bytes = Buffer.from(JSON.stringify(value));
    const digest = digestOf(bytes);
    this.addDocument(blobPath(digest), bytes);
    return { digest, size: bytes.length, mediaType: 'application/octet-stream' };
  }
}

const blobPath = (digest: Digest): string => `blobs/sha256/${digestHex(digest)}`;

function dockerIndex(names: readonly string[]): CountingIndex {
  const index = new CountingIndex();
  index.add(CONFIG, { os: 'linux' });
  // Links and other spellings of a path are the same document.
  index.addLink('link.json', CONFIG);
  const paths = [CONFIG, `./${CONFIG}`, 'link.json'];
  index.add(
    'manifest.json',
    names.map((name, i) => ({ Config: paths[i % paths.length], RepoTags: [name], Layers: [] })),
  );
  return index;
}

function ociIndex(names: readonly string[]): { readonly index: CountingIndex; readonly documents: Digest[] } {
  const index = new CountingIndex();
  const manifest = index.addBlob({ config: index.addBlob({ os: 'linux' }), layers: [] });
  const inner = index.addBlob({ manifests: [manifest] });
  // Each name has an index of its own, and all of those have the same one below them.
  const manifests = names.map((name) => ({
    ...index.addBlob({ manifests: [inner], annotations: { name } }),
    annotations: { 'org.opencontainers.image.ref.name': name },
  }));
  index.add('index.json', { schemaVersion: 2, manifests });
  return { index, documents: [manifest.digest, inner.digest] };
}

test('a config that many images of an archive name is one image with all names', () => {
  const names = tags(LIMITS.archiveImages);
  assert.deepEqual(namesOf(readDockerArchive(dockerIndex(names))), [names]);
});

test('a document of a layout is read once, however many name it', async () => {
  const names = tags(LIMITS.archiveImages);
  const { index, documents } = ociIndex(names);
  assert.deepEqual(namesOf(await readOciLayout(index, PLATFORMS)), [names]);
  for (const digest of documents) assert.equal(index.asked.get(blobPath(digest)), 1);
});

test('indexes within indexes have a depth', async () => {
  const nested = async (depth: number): Promise<unknown> => {
    const index = new CountingIndex();
    let inner = index.addBlob({ config: index.addBlob({ os: 'linux' }), layers: [] });
    for (let n = 0; n < depth; n++) inner = index.addBlob({ manifests: [inner], annotations: { n: `${n}` } });
    index.add('index.json', { schemaVersion: 2, manifests: [inner] });
    return await readOciLayout(index, PLATFORMS);
  };
  await nested(LIMITS.indexDepth);
  await assert.rejects(nested(LIMITS.indexDepth + 1), /indexes nested too deeply/);
});

test('an archive names so many images and no more', async () => {
  const names = tags(LIMITS.archiveImages + 1);
  const refusal = {
    kind: 'tooLarge',
    message: `image archive names more than ${LIMITS.archiveImages} images`,
  };
  assert.throws(() => readDockerArchive(dockerIndex(names)), refusal);
  await assert.rejects(readOciLayout(ociIndex(names).index, PLATFORMS), refusal);
});

/** An image named `localhost/x:1` for several platforms; the config of each says for which. */
function manyPlatforms(shape: 'nested' | 'flat', offered: readonly string[]): CountingIndex {
  const index = new CountingIndex();
  const annotations = { 'org.opencontainers.image.ref.name': 'localhost/x:1' };
  const manifests = offered.map((name) => ({
    ...index.addBlob({ config: index.addBlob({ name }), layers: [] }),
    ...(name !== 'plain' && { platform: parsePlatform(name) }),
    ...(shape === 'flat' && { annotations }),
  }));
  const top = shape === 'flat' ? manifests : [{ ...index.addBlob({ manifests }), annotations }];
  index.add('index.json', { schemaVersion: 2, manifests: top });
  return index;
}

async function taken(index: ArchiveIndex, host: string, ...asked: string[]): Promise<unknown> {
  const images = await readOciLayout(index, {
    asked: asked.map(parsePlatform),
    host: parsePlatform(host),
  });
  return images.map(({ config }) => (JSON.parse(config.toString()) as { readonly name: string }).name).join();
}

const [V1, V2, V3] = ['linux/amd64', 'linux/amd64/v2', 'linux/amd64/v3'] as const;
const TAKEN = [
  [V1, [], [V3, V1, V2], V1],
  [V2, [], [V3, V1, V2], V2],
  [V3, [], [V1, V3, V2], V3],
  [V3, [], [V1, V2, 'linux/386'], V2],
  [V1, [], ['linux/386', 'plain', 'linux/arm64'], 'linux/386'],
  [V1, [], ['linux/arm64', V3, 'plain'], 'plain'],
  [V3, [V1], [V3, V2, V1], V1],
  [V1, [V3], [V1, V2, V3], V3],
  [V1, ['linux/arm64', V2], [V2, V1, 'linux/arm64/v8'], 'linux/arm64/v8'],
] as const;

for (const shape of ['nested', 'flat'] as const)
  for (const [host, asked, offered, expected] of TAKEN)
    test(`${shape}: of ${offered.join(', ')} ${host} takes ${expected}, asked for ${asked.join(', ') || 'none'}`, async () => {
      assert.equal(await taken(manyPlatforms(shape, offered), host, ...asked), expected);
    });

test('an index without anything that runs here, or is what was asked for, is refused', async () => {
  const refused = (text: string, hint: string): object => ({
    kind: 'notFound',
    message: `no matching manifest for ${text} in the image archive`,
    hint: `There is one for ${hint}.`,
  });
  await assert.rejects(taken(manyPlatforms('nested', [V3, V2]), V1), refused(V1, `${V3}, ${V2}`));
  await assert.rejects(taken(manyPlatforms('nested', [V1]), V3, V3), refused(V3, V1));
  await assert.rejects(
    taken(manyPlatforms('nested', ['plain', V3, 'plain']), 'linux/arm64'),
    refused('linux/arm64', V3),
  );
});

test('an image that is alone under its name is taken, whatever it is for', async () => {
  assert.equal(await taken(manyPlatforms('flat', [V3]), V1), V3);
});
