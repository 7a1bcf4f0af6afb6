import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EngineError } from '#base/errors.ts';
import { MEDIA_TYPES } from '#oci/descriptor.ts';
import { digestOf } from '#oci/digest.ts';
import type { Manifest } from '#oci/manifest.ts';
import { checkImageManifest, readDocument } from './documents.ts';

const descriptor = (mediaType: string) => ({ mediaType, digest: digestOf('x'), size: 1 });
const manifest = {
  ...{ schemaVersion: 2, config: descriptor(MEDIA_TYPES.dockerConfig) },
  layers: [descriptor(MEDIA_TYPES.dockerLayer)],
};
const index = { schemaVersion: 2, manifests: [] };

function read(mediaType: string, body: unknown): ReturnType<typeof readDocument> {
  const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  return readDocument({ digest: digestOf(bytes), bytes, mediaType });
}

const REFUSED = [
  ['', manifest, 'missing or empty Content-Type header'],
  ['text/plain', manifest, 'unsupported media type text/plain'],
  [MEDIA_TYPES.ociIndex, manifest, 'index: expected index but found manifest'],
  [MEDIA_TYPES.ociManifest, index, 'ocimanifest: expected manifest but found index'],
  [MEDIA_TYPES.dockerManifest, { ...manifest, ...index }, /both a manifest and an index/],
  [MEDIA_TYPES.dockerManifest, '{nope', "invalid character 'n' looking for beginning of object key string"],
  [MEDIA_TYPES.dockerManifest, '', 'unexpected end of JSON input'],
] as const;

test('what the header says and what the body is must agree', () => {
  assert.equal(read(MEDIA_TYPES.dockerManifest, manifest).content.kind, 'manifest');
  assert.equal(read(MEDIA_TYPES.ociIndex, index).content.kind, 'index');
  for (const [mediaType, body, text] of REFUSED)
    assert.throws(
      () => read(mediaType, body),
      (error) =>
        error instanceof EngineError &&
        (typeof text === 'string' ? error.message === text : text.test(error.message)),
      String(text),
    );
});

test('what is no image is refused before anything of it is fetched', () => {
  const check = (config: string, layer: string = MEDIA_TYPES.ociLayerZstd): void => {
    const body = { ...manifest, config: descriptor(config), layers: [descriptor(layer)] };
    checkImageManifest(read(MEDIA_TYPES.dockerManifest, body).content as Manifest);
  };
  check(MEDIA_TYPES.ociConfig);
  check(MEDIA_TYPES.dockerConfig, 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip');
  check('', 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip');
  assert.throws(() => check('application/vnd.cncf.helm.config.v1+json'), {
    message: 'unsupported media type application/vnd.cncf.helm.config.v1+json',
  });
  assert.throws(() => check('application/vnd.docker.plugin.v1+json'), {
    message: 'Encountered remote "application/vnd.docker.plugin.v1+json"(plugin) when fetching',
  });
  assert.throws(() => check(MEDIA_TYPES.ociConfig, 'application/vnd.example.layer'), {
    message: 'unsupported media type application/vnd.example.layer',
  });
});
