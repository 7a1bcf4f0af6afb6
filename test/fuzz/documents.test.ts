import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { isEngineError } from '#base/errors.ts';
import type { JsonValue } from '#base/json.ts';
import { parseImageConfig } from '#oci/image-config.ts';
import { parseManifestOrIndex } from '#oci/manifest.ts';
import { familiarReference, formatReference, parseAnyReference, parseReference } from '#oci/reference.ts';
import { scanJson } from '#base/json-scan.ts';
import { parseConfigFile } from '../../src/daemon/config/file.ts';
import { parseBody } from '../../src/daemon/server/body.ts';
import { changedText } from './json-values.ts';
import { mutate } from './mutate.ts';
import { type Chance, fuzz } from './rounds.ts';

const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`;
const DESCRIPTOR = { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: DIGEST, size: 1234 };
const CONFIG: JsonValue = {
  created: '2024-05-06T07:08:09Z',
  architecture: 'amd64',
  os: 'linux',
  config: {
    User: 'nobody',
    ExposedPorts: { '80/tcp': {} },
    Env: ['PATH=/bin', 'A=b'],
    Entrypoint: ['sh'],
    Cmd: ['-c', 'true'],
    Volumes: { '/data': {} },
    Labels: { a: 'b' },
    WorkingDir: '/x',
    StopSignal: 'SIGTERM',
    StopTimeout: 10,
    Healthcheck: { Test: ['CMD', 'true'], Interval: 1_000_000_000, Retries: 3 },
  },
  rootfs: { type: 'layers', diff_ids: [DIGEST, DIGEST] },
  history: [{ created: '2024-05-06T07:08:09Z', created_by: 'sh', empty_layer: true }, { comment: 'x' }],
};
const MANIFEST: JsonValue = {
  schemaVersion: 2,
  config: DESCRIPTOR,
  layers: [DESCRIPTOR, DESCRIPTOR],
  annotations: { a: 'b' },
};
const INDEX: JsonValue = {
  schemaVersion: 2,
  mediaType: 'application/vnd.oci.image.index.v1+json',
  manifests: [{ ...DESCRIPTOR, platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } }],
};
const BODY: JsonValue = {
  Image: 'busybox',
  Cmd: ['true'],
  Labels: { a: 'b' },
  HostConfig: { Memory: 1, PortBindings: {} },
};
const DAEMON: JsonValue = {
  debug: true,
  hosts: ['unix:///x.sock'],
  labels: ['a=b'],
  'default-ulimits': {},
  'log-opts': { 'max-size': '10m' },
  'default-address-pools': [{ base: '10.0.0.0/8', size: 24 }],
};
const REFERENCES = [
  'busybox',
  'a/b:tag',
  'localhost:5000/x/y:1.0',
  `example.com/a@${DIGEST}`,
  '[::1]:80/a',
  DIGEST,
];

/** Either a value or one of the errors that a client is told. */
function answers<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    const known = isEngineError(error, 'invalidArgument') || isEngineError(error, 'tooLarge');
    assert.ok(known, inspect(error));
    return undefined;
  }
}

/** A damaged text or a damaged document. */
function text(document: JsonValue, chance: Chance): Buffer {
  if (chance.flip()) return Buffer.from(changedText(document, chance));
  return mutate(Buffer.from(JSON.stringify(document)), chance);
}

function assertCleanPrototype(): void {
  assert.deepEqual(Object.keys(Object.prototype), []);
  assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
}

fuzz('image configs', { short: 1500 }, (chance) => {
  const config = answers(() => parseImageConfig(text(CONFIG, chance)));
  assertCleanPrototype();
  if (config === undefined) return;
  const { defaults } = config;
  for (const list of [
    defaults.env,
    defaults.cmd,
    defaults.entrypoint,
    defaults.exposedPorts,
    defaults.volumes,
    config.osFeatures,
  ])
    assert.ok(list === null || list.every((item) => typeof item === 'string'));
  assert.ok(config.diffIds.every((digest) => /^sha256:[0-9a-f]{64}$/.test(digest)));
  for (const [key, value] of Object.entries(defaults.labels ?? {})) assert.equal(typeof value, 'string', key);
});

fuzz('manifests and indexes', { short: 1500 }, (chance) => {
  const found = answers(() => parseManifestOrIndex(text(chance.pick([MANIFEST, INDEX]), chance)));
  assertCleanPrototype();
  if (found === undefined) return;
  const descriptors = found.kind === 'index' ? found.manifests : [found.config, ...found.layers];
  for (const { digest, sizeBytes } of descriptors) {
    assert.match(digest, /^sha256:[0-9a-f]{64}$/);
    assert.ok(Number.isSafeInteger(sizeBytes) && sizeBytes >= 0, String(sizeBytes));
  }
});

fuzz('references: what is taken is taken again, the same', { short: 3000 }, (chance) => {
  const seed = Buffer.from(chance.pick(REFERENCES));
  const written = chance.flip(0.1)
    ? 'a-'.repeat(2000)
    : mutate(seed, chance).toString(chance.pick(['utf8', 'latin1']));
  const started = performance.now();
  answers(() => parseAnyReference(written));
  const reference = answers(() => parseReference(written));
  assert.ok(performance.now() - started < 500, `slow: ${JSON.stringify(written)}`);
  if (reference === undefined) return;
  for (const again of [formatReference(reference), familiarReference(reference)])
    assert.deepEqual(parseReference(again), reference, again);
});

fuzz('request bodies', { short: 1500 }, (chance) => {
  answers(() => parseBody(text(BODY, chance).toString('utf8')));
  assertCleanPrototype();
});

fuzz('the scanner agrees with the parser of the language', { short: 3000 }, (chance) => {
  const written = text(chance.pick([BODY, DAEMON, CONFIG]), chance)
    .toString('utf8')
    .slice(0, 50_000);
  const scan = scanJson(written);
  assert.ok(scan.end >= 0 && scan.end <= written.length);
  let parsed = true;
  try {
    JSON.parse(written);
  } catch {
    parsed = false;
  }
  const wellFormed = scan.error === null && /^[ \t\n\r]*$/.test(written.slice(scan.end));
  if (scan.error !== 'exceeded max depth')
    assert.equal(wellFormed, parsed, JSON.stringify(written.slice(0, 400)));
});

fuzz('daemon.json', { short: 1500 }, (chance) => {
  answers(() => parseConfigFile(text(DAEMON, chance).toString('utf8'), new Map()));
  assertCleanPrototype();
});
