import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isEngineError } from '#base/errors.ts';
import { digestOf } from '#oci/digest.ts';
import type { ImageIndex } from '#oci/manifest.ts';
import { parsePlatform, type Platform } from '#oci/platform.ts';
import { choosePlatform } from './choose-platform.ts';

function listOf(...platforms: readonly (string | null)[]): ImageIndex {
  const platformOf = (text: string): Platform => {
    const [os = '', architecture = ''] = text.split('/');
    return os === 'unknown' ? { os, architecture } : parsePlatform(text);
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

const HOST = { os: 'linux', architecture: 'amd64', variant: 'v3' };
const CASES = [
  ['linux/amd64', ['linux/arm64', 'linux/amd64', 'windows/amd64'], 'linux/amd64'],
  ['linux/amd64', ['unknown/unknown', 'linux/amd64'], 'linux/amd64'],
  ['linux/arm64', ['linux/arm/v7', 'linux/arm64/v8'], 'linux/arm64/v8'],
  ['linux/arm64', ['linux/amd64', 'linux/arm/v7'], 'linux/arm/v7'],
  ['linux/arm/v7', ['linux/arm/v5', 'linux/arm/v6', 'linux/arm64'], 'linux/arm/v6'],
  ['linux/arm/v7', ['linux/arm/v6', 'linux/arm/v8', 'linux/arm/v7'], 'linux/arm/v7'],
  ['linux/amd64', [null], 'nameless'],
  ['linux/amd64', [null, 'linux/386'], 'linux/386'],
  ['linux/s390x', [null, 'linux/amd64'], 'nameless'],
  ['linux/amd64', ['linux(+f)/amd64', 'linux/amd64'], 'linux/amd64'],
  ['linux/amd64', ['linux(1)/amd64', 'linux(2)/amd64', 'linux/amd64'], 'linux(1)/amd64'],
  ['linux(+f+g)/amd64', ['linux(1+f+g)/amd64', 'linux/amd64'], 'linux(1+f+g)/amd64'],
  ['linux/amd64', ['linux/amd64/v2', 'linux/386', 'linux/amd64'], 'linux/amd64'],
  ['linux/amd64/v3', ['linux/amd64', 'linux/amd64/v2', 'linux/amd64/v4'], 'linux/amd64/v2'],
] as const;

for (const [wanted, offered, chosen] of CASES)
  test(`${wanted} out of ${offered.map((one) => one ?? 'nameless').join(', ')}`, () => {
    assert.equal(choosePlatform(listOf(...offered), parsePlatform(wanted), HOST).annotations['name'], chosen);
  });

test('nothing fits: the reference has a text for it, and it says what there is', () => {
  for (const offered of [['linux/amd64', 'windows/amd64'], ['unknown/unknown'], ['linux(+f)/s390x'], []])
    assert.throws(
      () => choosePlatform(listOf(...offered), parsePlatform('linux/s390x'), HOST),
      (error) =>
        isEngineError(error, 'notFound') &&
        error.message === 'no matching manifest for linux/s390x in the manifest list entries' &&
        error.hint !== undefined,
    );
});

test('without a wish the machine decides, and is named without its level', () => {
  const list = listOf('linux/amd64', 'linux/amd64/v3', 'linux/amd64/v2', 'linux/amd64/v4');
  assert.equal(choosePlatform(list, undefined, HOST).annotations['name'], 'linux/amd64/v3');
  assert.throws(() => choosePlatform(listOf('linux/arm64'), undefined, HOST), {
    message: 'no matching manifest for linux/amd64 in the manifest list entries',
  });
});

test('a hint names ten platforms, only what reads like one, and counts the others', () => {
  const entry = (os: string, architecture: string): ImageIndex['manifests'][number] => ({
    ...{ mediaType: '', sizeBytes: 1, annotations: {}, digest: digestOf('') },
    platform: { os, architecture },
  });
  const many = Array.from({ length: 10_000 }, (_, i) => entry('linux', `cpu${i}`));
  const first = many.slice(0, 10).map((_, i) => `linux/cpu${i}`);
  const bad = [entry('\u001b[2Jlinux', 'amd64'), entry('linux', 'x'.repeat(64)), entry('a\nb', 'amd64')];
  const cases = [
    [[...bad, ...many], `${first.join(', ')} and 9993 more`],
    [[...bad, ...many.slice(0, 10)], `${first.join(', ')} and 3 more`],
    [many.slice(0, 10), first.join(', ')],
    [[...bad, ...bad], '3 whose names cannot be shown'],
    [[entry('unknown', 'unknown')], 'no platform at all'],
  ] as const;
  for (const [manifests, text] of cases)
    assert.throws(() => choosePlatform({ ...listOf(), manifests }, parsePlatform('linux/s390x'), HOST), {
      hint: `There is one for ${text}.`,
    });
});
