import {
  type Algorithm,
  artifactOf,
  configContent,
  type Content,
  digestWith,
  emptyJson,
  imageOf,
  indexOf,
  layer,
  type ManifestContent,
  randomContent,
} from './content.ts';

/** What is pushed to a repository, read back and removed, under one name. */
export interface ImageSet {
  readonly name: string;
  readonly blobs: readonly Content[];
  /** Children first. */
  readonly manifests: readonly ManifestContent[];
  readonly tags: Readonly<Record<string, ManifestContent>>;
  /** Digests whose referrers are asked for. */
  readonly subjects?: readonly string[];
  /** Manifests are pushed by digest with their tags in the query. */
  readonly hasTagParameters?: boolean;
}

interface Image {
  readonly blobs: readonly Content[];
  readonly manifest: ManifestContent;
}

function image(layers: number, more: object = {}, algorithm: Algorithm = 'sha256'): Image {
  const config = configContent(algorithm);
  const blobs = Array.from({ length: layers }, () => randomContent(512, algorithm));
  return { blobs: [config, ...blobs], manifest: imageOf(config, blobs, { more, algorithm }) };
}

function blobsOf(images: readonly Image[]): Content[] {
  const all = images.flatMap(({ blobs }) => blobs);
  return [...new Map(all.map((blob) => [blob.digest, blob])).values()];
}

function single(name: string, { blobs, manifest }: Image): ImageSet {
  return { name, blobs, manifests: [manifest], tags: { [name]: manifest } };
}

function indexed(name: string, more: object = {}, algorithm: Algorithm = 'sha256'): ImageSet {
  const images = [image(2, more, algorithm), image(2, more, algorithm)];
  const manifests = images.map(({ manifest }) => manifest);
  const index = indexOf(manifests, { more, algorithm });
  return { name, blobs: blobsOf(images), manifests: [...manifests, index], tags: { [name]: index } };
}

function nested(): ImageSet {
  const images = [image(2), image(2), image(1), image(1)];
  const leaves = images.map(({ manifest }) => manifest);
  const inner = [indexOf(leaves.slice(0, 2)), indexOf(leaves.slice(2))];
  const outer = indexOf(inner);
  const manifests = [...leaves, ...inner, outer];
  return { name: 'nested-index', blobs: blobsOf(images), manifests, tags: { 'nested-index': outer } };
}

function artifact(layers: number, subject?: ManifestContent, type = 'application/vnd.test.one'): Image {
  const blobs = Array.from({ length: layers }, () => randomContent(256));
  return { blobs: [emptyJson(), ...blobs], manifest: artifactOf(type, blobs, subject) };
}

function artifactIndex(name: string, subject?: ManifestContent): { images: Image[]; index: ManifestContent } {
  const images = [artifact(1), artifact(1)];
  const manifests = images.map(({ manifest }) => manifest);
  const more = {
    artifactType: 'application/vnd.test.index',
    annotations: { name },
    ...(subject !== undefined && { subject: layer(subject, subject.mediaType) }),
  };
  return { images, index: indexOf(manifests, { more }) };
}

function withSubjects(): ImageSet {
  const base = image(2);
  const one = artifact(2, base.manifest);
  const two = artifact(1, base.manifest, 'application/vnd.test.two');
  const three = artifact(1, base.manifest, 'application/vnd.test.two');
  const name = 'artifacts-with-subject';
  return {
    name,
    blobs: blobsOf([base, one, two, three]),
    manifests: [base, one, two, three].map(({ manifest }) => manifest),
    tags: { [name]: base.manifest, [`${name}-one`]: one.manifest, [`${name}-two`]: two.manifest },
    subjects: [base.manifest.digest],
  };
}

function indexWithSubject(): ImageSet {
  const name = 'index-with-subject';
  const base = indexed(name);
  const [first, second, index] = base.manifests as [ManifestContent, ManifestContent, ManifestContent];
  const parts = [artifact(1, first), artifact(1, second)];
  const more = {
    artifactType: 'application/vnd.test.index',
    subject: layer(index, index.mediaType),
    annotations: { name },
  };
  const list = indexOf(
    parts.map(({ manifest }) => manifest),
    { more },
  );
  return {
    name,
    blobs: [...base.blobs, ...blobsOf(parts)],
    manifests: [...base.manifests, ...parts.map(({ manifest }) => manifest), list],
    tags: { [name]: index, [`${name}-list`]: list },
    subjects: [index.digest, first.digest, second.digest],
  };
}

function missingSubject(): ImageSet {
  const missing = image(1).manifest;
  const name = 'missing-subject';
  return { ...single(name, artifact(1, missing)), subjects: [missing.digest] };
}

function dataField(): ImageSet {
  const config = configContent();
  const layers = [randomContent(128), randomContent(128)];
  const manifest = imageOf(config, layers, {
    more: { layers: layers.map((blob) => ({ ...layer(blob), data: blob.bytes.toString('base64') })) },
  });
  return single('data-field', { blobs: [config, ...layers], manifest });
}

function elsewhere(): ImageSet {
  const config = configContent();
  const here = randomContent(256);
  const there = layer(randomContent(256), 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip');
  const manifest = imageOf(config, [here], { more: { layers: [there, layer(here)] } });
  return single('non-distributable-layers', { blobs: [config, here], manifest });
}

function large(): ImageSet {
  return single('large-manifest', image(2, { annotations: { large: 'x'.repeat(3_500_000) } }));
}

function tagParameters(algorithm: Algorithm): ImageSet {
  const set = indexed(`tag-param-${algorithm}`, {}, algorithm);
  const [first, second, index] = set.manifests as [ManifestContent, ManifestContent, ManifestContent];
  const tags = { 'tp-one': index, 'tp-two': index, 'tp-first': first, 'tp-second': second };
  const own = Object.entries(tags).map(([tag, manifest]) => [`${tag}-${algorithm}`, manifest] as const);
  return { ...set, tags: Object.fromEntries(own), hasTagParameters: true };
}

export function imageSets(): ImageSet[] {
  const lists = artifactIndex('artifact-index');
  const listed = lists.images.map(({ manifest }) => manifest);
  return [
    single('image', image(2)),
    single('image-uncompressed', image(2)),
    large(),
    indexed('index'),
    nested(),
    single('empty-index', { blobs: [], manifest: indexOf([]) }),
    single('artifact', artifact(1)),
    {
      name: 'artifact-index',
      blobs: blobsOf(lists.images),
      manifests: [...listed, lists.index],
      tags: { 'artifact-index': lists.index },
    },
    single('artifact-without-layers', artifact(0)),
    withSubjects(),
    indexWithSubject(),
    missingSubject(),
    dataField(),
    elsewhere(),
    indexed('custom-fields', { 'org.test.custom': { any: ['thing', 1] } }),
    single('no-layers', image(0)),
    { ...indexed('sha512', {}, 'sha512'), tags: {} },
    tagParameters('sha256'),
    tagParameters('sha512'),
  ];
}

/** An image under a digest that is another's. */
export function badDigestImage(): ImageSet {
  const { blobs, manifest } = image(2);
  const digest = digestWith('sha256', Buffer.from(manifest.digest));
  return { name: 'bad-digest-image', blobs, manifests: [{ ...manifest, digest }], tags: {} };
}
