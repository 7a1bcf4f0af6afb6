import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isEngineError } from '#base/errors.ts';
import { digestOf } from '#oci/digest.ts';
import type { ImageIndex } from '#oci/manifest.ts';
import { parsePlatform, type Platform } from '#oci/platform.ts';
import { choosePlatform } from './choose-platform.ts';

function listOf(...platforms: readonly (string | null)[]): ImageIndex {
  const platformOf = (text: string): Platform => {
    const [os = '', architecture = '', variant] = text.split('/');
    return { os, architecture, ...(variant !== undefined && { variant }) };
  };
  return {
    ...{ kind: 'index', mediaType: 'application/vnd.oci.image.index.v1+json', annotations: {} },
    manifests: platforms.map((text) => ({
      ...{ mediaType: '', sizeBytes: 1, annotations: { name: text ?? 'nameless' } },
      digest: digestOf(text ?? ''),
      ...(text !== null && { platform: platformOf(text) }),
    })),
  };
}

const CASES = [
  ['linux/amd64', ['linux/arm64', 'linux/amd64', 'windows/amd64'], 'linux/amd64'],
  ['linux/amd64', ['unknown/unknown', 'linux/amd64'], 'linux/amd64'],
  ['linux/arm64', ['linux/arm/v7', 'linux/arm64/v8'], 'linux/arm64/v8'],
  ['linux/arm64', ['linux/amd64', 'linux/arm/v7'], 'linux/arm/v7'],
  ['linux/arm/v7', ['linux/arm/v5', 'linux/arm/v6', 'linux/arm64'], 'linux/arm/v6'],
  ['linux/arm/v7', ['linux/arm/v6', 'linux/arm/v8', 'linux/arm/v7'], 'linux/arm/v7'],
  ['linux/amd64', [null], 'nameless'],
] as const;

for (const [wanted, offered, chosen] of CASES)
  test(`${wanted} out of ${offered.map((one) => one ?? 'nameless').join(', ')}`, () => {
    assert.equal(choosePlatform(listOf(...offered), parsePlatform(wanted)).annotations['name'], chosen);
  });

test('nothing fits: the reference has a text for it, and it says what there is', () => {
  for (const offered of [['linux/amd64', 'windows/amd64'], ['unknown/unknown'], ['linux/arm/v7', null], []])
    assert.throws(
      () => choosePlatform(listOf(...offered), parsePlatform('linux/s390x')),
      (error) =>
        isEngineError(error, 'notFound') &&
        error.message === 'no matching manifest for linux/s390x in the manifest list entries' &&
        error.hint !== undefined,
    );
});
