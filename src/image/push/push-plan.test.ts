import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '#base/limits.ts';
import { digestOf } from '#oci/digest.ts';
import type { Manifest } from '#oci/manifest.ts';
import { parseReference } from '#oci/reference.ts';
import { encodeManifest, isManifestOf, mountSources } from './push-plan.ts';

const CONFIG = { digest: digestOf('config'), sizeBytes: 1456 };
const LAYER = { digest: digestOf('layer'), sizeBytes: 764_620, form: 'gzip' } as const;

/** As docker 28 wrote it for an image of one layer, digests replaced. */
const SCHEMA_2 = `{
   "schemaVersion": 2,
   "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
   "config": {
      "mediaType": "application/vnd.docker.container.image.v1+json",
      "size": 1456,
      "digest": "${CONFIG.digest}"
   },
   "layers": [
      {
         "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
         "size": 764620,
         "digest": "${LAYER.digest}"
      }
   ]
}`;

test('a manifest of our own has the bytes that the reference would send', () => {
  const { mediaType, bytes } = encodeManifest(CONFIG, [LAYER]);
  assert.equal(mediaType, 'application/vnd.docker.distribution.manifest.v2+json');
  assert.equal(bytes.toString(), SCHEMA_2);
  assert.equal(bytes.length, 527);
  assert.match(encodeManifest(CONFIG, []).bytes.toString(), /"layers": \[\]\n\}$/);
});

test('what schema 2 does not describe goes into a manifest of OCI', () => {
  const { mediaType, bytes } = encodeManifest(CONFIG, [LAYER, { ...LAYER, form: 'zstd' }]);
  assert.equal(mediaType, 'application/vnd.oci.image.manifest.v1+json');
  const { config, layers } = JSON.parse(bytes.toString()) as {
    config: { mediaType: string };
    layers: { mediaType: string }[];
  };
  assert.equal(config.mediaType, 'application/vnd.oci.image.config.v1+json');
  assert.deepEqual(
    layers.map((layer) => layer.mediaType),
    ['application/vnd.oci.image.layer.v1.tar+gzip', 'application/vnd.oci.image.layer.v1.tar+zstd'],
  );
});

test('the manifest that an image came with is used while all that it names is here', () => {
  const descriptor = { mediaType: '', annotations: {} };
  const manifest: Manifest = {
    kind: 'manifest',
    mediaType: '',
    config: { ...descriptor, ...CONFIG },
    layers: [{ ...descriptor, digest: LAYER.digest, sizeBytes: 1 }],
    annotations: {},
  };
  const image = { id: CONFIG.digest, diffIds: [digestOf('plain')], here: new Set([LAYER.digest]) };
  assert.equal(isManifestOf(manifest, image), true);
  assert.equal(isManifestOf(manifest, { ...image, id: digestOf('other') }), false);
  assert.equal(isManifestOf(manifest, { ...image, diffIds: [] }), false);
  assert.equal(isManifestOf(manifest, { ...image, here: new Set() }), false);
});

test('a blob is taken over from other repositories of the same registry only', () => {
  const target = parseReference('127.0.0.1:5000/team/a:v');
  const known = [
    '127.0.0.1:5000/team/a',
    'docker.io/team/b',
    '127.0.0.1:5000/team/b',
    '127.0.0.1:50001/team/c',
    '127.0.0.1:5000/team/d',
    '127.0.0.1:5000/team/e',
  ];
  assert.deepEqual(mountSources(known, target), ['team/b', 'team/d']);
  assert.equal(LIMITS.mountTries, 2, 'and of not more than a few');
});
