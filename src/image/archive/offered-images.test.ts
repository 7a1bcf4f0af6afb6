import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '#base/limits.ts';
import { digestHex, digestOf, type Digest } from '#oci/digest.ts';
import { familiarReference } from '#oci/reference.ts';
import { ArchiveIndex } from './archive-index.ts';
import { readDockerArchive, type OfferedImage } from './docker-archive.ts';
import { readOciLayout } from './oci-layout.ts';

const CONFIG = 'config.json';
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
  assert.deepEqual(namesOf(await readOciLayout(index, [])), [names]);
  for (const digest of documents) assert.equal(index.asked.get(blobPath(digest)), 1);
});

test('indexes within indexes have a depth', async () => {
  const nested = async (depth: number): Promise<unknown> => {
    const index = new CountingIndex();
    let inner = index.addBlob({ config: index.addBlob({ os: 'linux' }), layers: [] });
    for (let n = 0; n < depth; n++) inner = index.addBlob({ manifests: [inner], annotations: { n: `${n}` } });
    index.add('index.json', { schemaVersion: 2, manifests: [inner] });
    return await readOciLayout(index, []);
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
  await assert.rejects(readOciLayout(ociIndex(names).index, []), refusal);
});
