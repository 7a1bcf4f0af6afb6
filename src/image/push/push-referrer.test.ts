import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isEngineError } from '#base/errors.ts';
import { KeyedMutex } from '#base/keyed-mutex.ts';
import { LIMITS } from '#base/limits.ts';
import { digestOf } from '#oci/digest.ts';
import { parseReference } from '#oci/reference.ts';
import type { PushContext } from './push-layer.ts';
import { keepReferrer, subjectOf, withReferrer } from './push-referrer.ts';

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const INDEX = 'application/vnd.oci.image.index.v1+json';
const SUBJECT = digestOf('an image');

function signed(fields: object): { mediaType: string; bytes: Buffer } {
  const config = { mediaType: 'x/config', digest: digestOf('c'), size: 1 };
  const document = { schemaVersion: 2, mediaType: MANIFEST, config, layers: [], ...fields };
  return { mediaType: MANIFEST, bytes: Buffer.from(JSON.stringify(document)) };
}

test('a subject is a digest, or there is none', () => {
  const subject = { mediaType: MANIFEST, digest: SUBJECT, size: 7 };
  assert.equal(subjectOf(signed({ subject }).bytes), SUBJECT);
  for (const other of [undefined, null, {}, { digest: 'sha256:..' }, { digest: 7 }, []])
    assert.equal(subjectOf(signed({ subject: other }).bytes), null);
});

test('a list begins, grows, and has nothing twice; what else is in it stays', () => {
  const [one, two] = [signed({ annotations: { a: '1' } }), signed({ artifactType: 'x/signature' })];
  const first = withReferrer(null, one, digestOf(one.bytes));
  const describe = (of: typeof one, more: object): object => ({
    ...{ mediaType: MANIFEST, digest: digestOf(of.bytes), size: of.bytes.length, ...more },
  });
  const entries = [
    describe(one, { artifactType: 'x/config', annotations: { a: '1' } }),
    describe(two, { artifactType: 'x/signature' }),
  ];
  const read = (list: { bytes: Buffer } | null): object => JSON.parse(String(list?.bytes)) as object;
  assert.deepEqual(read(first), { schemaVersion: 2, mediaType: INDEX, manifests: entries.slice(0, 1) });
  const kept = { ...read(first), annotations: { by: 'somebody' } };
  const second = withReferrer(Buffer.from(JSON.stringify(kept)), two, digestOf(two.bytes));
  assert.deepEqual(read(second), { ...kept, manifests: entries });
  assert.equal(second?.mediaType, INDEX);
  assert.equal(withReferrer(second?.bytes ?? null, one, digestOf(one.bytes)), null);
});

test('a tag that names an image is left alone, and so is a list that is full', () => {
  const one = signed({});
  const digest = digestOf(one.bytes);
  for (const text of ['[]', '{}', String(one.bytes), `{"mediaType":"${INDEX}","manifests":{}}`])
    assert.throws(
      () => withReferrer(Buffer.from(text), one, digest),
      (error) => isEngineError(error, 'conflict'),
    );
  const full = { mediaType: INDEX, manifests: [], annotations: { a: 'x'.repeat(LIMITS.manifestBytes) } };
  assert.throws(
    () => withReferrer(Buffer.from(JSON.stringify(full)), one, digest),
    (error) => isEngineError(error, 'tooLarge'),
  );
});

test('a list of a registry that would stop everybody is not parsed; the push goes on', async () => {
  const manifests = new Array<number>(LIMITS.listValues).fill(0);
  const bytes = Buffer.from(JSON.stringify({ mediaType: INDEX, manifests }));
  const told: unknown[] = [];
  const one = signed({ subject: { mediaType: MANIFEST, digest: SUBJECT, size: 7 } });
  const context = {
    deps: { mutex: new KeyedMutex() },
    repository: {
      manifest: () => Promise.resolve({ mediaType: INDEX, digest: digestOf(bytes), bytes }),
      putManifest: () => assert.fail('it was taken'),
    },
    reference: parseReference('registry.example/app'),
    signal: new AbortController().signal,
    onProgress: ({ status }: { status: string }) => told.push(status),
  };
  await keepReferrer(context as unknown as PushContext, one, digestOf(one.bytes));
  assert.match(String(told), /does not list what refers to .*: referrers: JSON of more than 65536 values/);
});
