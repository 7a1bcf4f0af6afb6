import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EngineError } from '#base/errors.ts';
import { MEDIA_TYPES } from '#oci/descriptor.ts';
import { digestOf } from '#oci/digest.ts';
import type { Manifest } from '#oci/manifest.ts';
import { checkImageManifest, parseSaying, readDocument } from './documents.ts';

const descriptor = (mediaType: string) => ({ mediaType, digest: digestOf('x'), size: 1 });
const manifest = {
  ...{
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.dockerManifest,
    config: descriptor(MEDIA_TYPES.dockerConfig),
  },
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
  [
    'text/html',
    '<html>',
    "error unmarshalling content: invalid character '<' looking for beginning of value",
  ],
  [MEDIA_TYPES.ociIndex, manifest, 'index: expected index but found manifest'],
  [MEDIA_TYPES.ociManifest, index, 'ocimanifest: expected manifest but found index'],
  [MEDIA_TYPES.dockerManifest, { ...manifest, ...index }, /both a manifest and an index/],
  [MEDIA_TYPES.dockerManifest, '{nope', "invalid character 'n' looking for beginning of object key string"],
  [MEDIA_TYPES.dockerManifest, '', 'unexpected end of JSON input'],
] as const;

test('what the header says and what the body is must agree', async () => {
  assert.equal((await read(MEDIA_TYPES.dockerManifest, manifest)).content.kind, 'manifest');
  assert.equal((await read(MEDIA_TYPES.ociIndex, index)).content.kind, 'index');
  for (const [mediaType, body, text] of REFUSED)
    await assert.rejects(
      read(mediaType, body),
      (error) =>
        error instanceof EngineError &&
        (typeof text === 'string' ? error.message === text : text.test(error.message)),
      String(text),
    );
});

test('what is no image is refused before anything of it is fetched', async () => {
  const check = async (config: string, layer: string = MEDIA_TYPES.ociLayerZstd): Promise<void> => {
    const body = { ...manifest, config: descriptor(config), layers: [descriptor(layer)] };
    checkImageManifest((await read(MEDIA_TYPES.dockerManifest, body)).content as Manifest);
  };
  await check(MEDIA_TYPES.ociConfig);
  await check(MEDIA_TYPES.dockerConfig, 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip');
  await check('', 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip');
  await assert.rejects(check('application/vnd.cncf.helm.config.v1+json'), {
    message: 'unsupported media type application/vnd.cncf.helm.config.v1+json',
  });
  await assert.rejects(check('application/vnd.docker.plugin.v1+json'), {
    message: 'Encountered remote "application/vnd.docker.plugin.v1+json"(plugin) when fetching',
  });
  await assert.rejects(check(MEDIA_TYPES.ociConfig, 'application/vnd.example.layer'), {
    message: 'unsupported media type application/vnd.example.layer',
  });
});

test('a large document that would stop everybody is refused before it is parsed', async () => {
  const keys = Array.from({ length: 500_000 }, (_, i) => `"${i}":{}`).join(',');
  const config = `{"rootfs":{},"config":{"Labels":{${keys}}}}`;
  const unparsed = (): never => assert.fail('it was parsed');
  for (const text of [config, '['.repeat(8_000_000), `${'{"a":'.repeat(1000)}${' '.repeat(100_000)}`])
    await assert.rejects(parseSaying(Buffer.from(text), unparsed), /more than 16384 values|nested deeper/);
  await assert.rejects(read(MEDIA_TYPES.ociIndex, { manifests: new Array(100_000).fill(0) }), /65536 values/);
});
