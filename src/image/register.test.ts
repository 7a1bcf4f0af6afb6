import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isEngineError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import type { ImageDeps } from './deps.ts';
import { registerImage, type NewImage } from './register.ts';

test('a config that would stop everybody at each start becomes no image, whoever made it', async () => {
  const labels = Object.fromEntries(
    Array.from({ length: LIMITS.documentValues }, (_, i) => [`label-${i}`, '']),
  );
  const config = Buffer.from(JSON.stringify({ config: { Labels: labels }, rootfs: { type: 'layers' } }));
  const deps = { storage: { content: { ingest: () => assert.fail('it was stored') } } };
  const image = { config, diffIds: [], layerBlobs: [], lease: { hold: () => undefined } };
  await assert.rejects(registerImage(deps as unknown as ImageDeps, image as unknown as NewImage), (error) =>
    isEngineError(error, 'tooLarge'),
  );
});
