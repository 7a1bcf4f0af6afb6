import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isEngineError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { chainIdOf, chainIds } from './chain-id.ts';
import { digestOf, isDigest, parseDigest } from './digest.ts';
import { parseImageConfig } from './image-config.ts';
import { parseManifestOrIndex } from './manifest.ts';
import { formatPlatform, isPlatform, parsePlatform } from './platform.ts';

const bytes = (value: unknown): Buffer =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
const DIGEST = digestOf('x');
const refused = (work: () => unknown, what: string): void =>
  assert.throws(
    work,
    (error) => isEngineError(error, 'invalidArgument') || isEngineError(error, 'tooLarge'),
    what,
  );

test('digests are sha256 with lower-case digits and nothing else', () => {
  for (const bad of [
    '',
    'sha256:',
    'sha512:aa',
    DIGEST.toUpperCase(),
    `${DIGEST}\n`,
    `${DIGEST}/..`,
    null,
    7,
  ]) {
    assert.equal(isDigest(bad), false);
    refused(() => parseDigest(bad), String(bad));
  }
});

test('chainIDs follow the image specification', () => {
  const [a, b] = [digestOf('a'), digestOf('b')];
  assert.deepEqual(chainIds([a, b]), [a, digestOf(`${a} ${b}`)]);
  assert.equal(chainIdOf(null, a), a);
});

test('manifests and indexes are told apart, and never taken for both', () => {
  const config = { mediaType: 'c', digest: DIGEST, size: 3 };
  assert.equal(parseManifestOrIndex(bytes({ config, layers: [config] })).kind, 'manifest');
  assert.equal(
    parseManifestOrIndex(
      bytes({ manifests: [{ ...config, platform: { os: 'linux', architecture: 'arm64' } }] }),
    ).kind,
    'index',
  );
  const bad: unknown[] = [
    { config, layers: [], manifests: [] },
    { config, layers: [], mediaType: 'application/vnd.oci.image.index.v1+json' },
    { manifests: [], mediaType: 'application/vnd.oci.image.manifest.v1+json' },
    { config: { ...config, size: -1 }, layers: [] },
    { config: { ...config, size: 1e300 }, layers: [] },
    { config: { ...config, digest: 'sha256:../../etc/passwd' }, layers: [] },
    { config, layers: {} },
    { config, layers: Array.from({ length: LIMITS.layersPerImage + 1 }, () => config) },
    [],
    'null',
    `${'['.repeat(100_000)}`,
    '{"__proto__":{"layers":[],"config":{}}}',
    ' '.repeat(LIMITS.manifestBytes + 1),
  ];
  for (const value of bad)
    refused(() => parseManifestOrIndex(bytes(value)), JSON.stringify(value).slice(0, 60));
});

test('image configs are read leniently, but known members have their types', () => {
  const parsed = parseImageConfig(
    bytes({
      architecture: 'amd64',
      os: 'linux',
      created: '2024-01-01T00:00:00Z',
      unknown: [1],
      config: {
        Cmd: 'one',
        Env: ['A=1'],
        ExposedPorts: { '80/tcp': {} },
        Labels: { a: 'b', n: 7 },
        Healthcheck: { Test: ['NONE'], Retries: 3 },
      },
      rootfs: { type: 'layers', diff_ids: [DIGEST] },
      history: [{ created_by: 'x', empty_layer: true }, 'odd'],
    }),
  );
  assert.deepEqual(parsed.defaults.cmd, ['one']);
  assert.deepEqual(parsed.defaults.labels, { a: 'b' });
  assert.deepEqual(parsed.defaults.exposedPorts, ['80/tcp']);
  assert.equal(parsed.defaults.healthcheck?.retries, 3);
  assert.equal(parsed.history.length, 1);
  for (const bad of [
    { config: [] },
    { config: { Env: { a: 1 } } },
    { config: { User: 7 } },
    { rootfs: { diff_ids: ['x'] } },
    { os: {} },
    [],
  ]) {
    refused(() => parseImageConfig(bytes(bad)), JSON.stringify(bad));
  }
  refused(() => parseImageConfig(bytes(`"${' '.repeat(LIMITS.imageConfigBytes)}"`)), 'size');
});

test('keys that mean something to JavaScript are keys like any other', () => {
  const text =
    '{"config":{"Labels":{"__proto__":"p","constructor":"c","toString":"t"}},"__proto__":{"os":"windows"}}';
  const { defaults, os } = parseImageConfig(bytes(text));
  assert.equal(os, '');
  assert.deepEqual(Object.keys(defaults.labels ?? {}), ['__proto__', 'constructor', 'toString']);
  assert.equal(JSON.stringify(defaults.labels), '{"__proto__":"p","constructor":"c","toString":"t"}');
  assert.equal(Object.getPrototypeOf(defaults.labels), Object.prototype);
});

test('platforms are written in many ways', () => {
  assert.equal(formatPlatform(parsePlatform('linux/x86_64')), 'linux/amd64');
  assert.equal(formatPlatform(parsePlatform('arm64')), 'linux/arm64');
  assert.equal(formatPlatform(parsePlatform('linux/arm')), 'linux/arm');
  assert.equal(formatPlatform(parsePlatform('linux/arm64/v8')), 'linux/arm64/v8');
  assert.equal(formatPlatform(parsePlatform('linux(1+g+f)/amd64')), 'linux(1+f+g)/amd64');
  assert.equal(formatPlatform({ os: '', architecture: 'amd64' }), 'unknown');
  assert.equal(formatPlatform({ os: 'linux', architecture: '' }), 'linux');
  assert.throws(() => parsePlatform('l!x/amd64'), {
    message:
      /^"l!x" is an invalid OS component of "l!x\/amd64": OSAndVersion specifier component must match "/,
  });
  assert.throws(() => parsePlatform('a/b/c/d'), {
    message: '"a/b/c/d": cannot parse platform specifier: invalid argument',
  });
  assert.ok(
    isPlatform(
      { os: 'linux', architecture: 'arm64' },
      { os: 'linux', architecture: 'aarch64', variant: 'v8' },
    ),
  );
  assert.ok(
    !isPlatform(
      { os: 'linux', architecture: 'arm', variant: 'v6' },
      { os: 'linux', architecture: 'arm', variant: 'v7' },
    ),
  );
});
