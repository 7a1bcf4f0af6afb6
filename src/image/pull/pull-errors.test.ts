import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EngineError, errorMessage } from '#base/errors.ts';
import { digestOf } from '#oci/digest.ts';
import { parseReference } from '#oci/reference.ts';
import { RegistryError } from '#registry/errors.ts';
import { configError, manifestError, unpackError } from './pull-errors.ts';

const X = parseReference('127.0.0.1:5000/team/x:v');
const HUB = parseReference('busybox:v');

function said(status: number, code: string, message: string): RegistryError {
  return new RegistryError(message, { status, codes: [code] });
}

test("a registry's sentence is wrapped as the reference does it", () => {
  const unknown = said(404, 'MANIFEST_UNKNOWN', 'manifest unknown: manifest unknown');
  const text = (error: unknown): string => errorMessage(error);
  assert.equal(
    text(manifestError(unknown, X)),
    'manifest for 127.0.0.1:5000/team/x:v not found: manifest unknown: manifest unknown',
  );
  assert.equal(
    text(manifestError(unknown, HUB)),
    'manifest for busybox:v not found: manifest unknown: manifest unknown',
  );
  const name = said(404, 'NAME_UNKNOWN', 'name unknown: repository name not known to registry');
  assert.equal(
    text(manifestError(name, HUB)),
    'repository busybox not found: name unknown: repository name not known to registry',
  );
  const denied = manifestError(said(403, 'DENIED', 'denied: not for you'), HUB);
  assert.equal((denied as EngineError).kind, 'notFound');
  assert.equal(
    text(denied),
    "pull access denied for busybox, repository does not exist or may require 'docker login': denied: not for you",
  );
});

test('the bare name of an error is told as it is', () => {
  for (const error of [
    said(404, 'MANIFEST_UNKNOWN', 'manifest unknown'),
    said(403, 'DENIED', 'denied'),
    said(401, 'UNAUTHORIZED', 'unauthorized: authentication required'),
    new Error('anything else'),
  ])
    assert.equal(manifestError(error, X), error);
});

test('configurations that do not come', () => {
  const digest = digestOf('x');
  assert.equal(
    errorMessage(configError(said(404, 'BLOB_UNKNOWN', 'unknown blob'), digest)),
    'error pulling image configuration: download failed after attempts=1: unknown blob',
  );
  const wrong = new RegistryError('error verifying digest of blob: expected …', { status: 0 });
  assert.equal(
    errorMessage(configError(wrong, digest)),
    `error pulling image configuration: image config verification failed for digest ${digest}`,
  );
});

test('layers that come and are none', () => {
  const bad = (message: string, code?: string): EngineError =>
    Object.assign(new EngineError('invalidArgument', message), code === undefined ? {} : { code });
  const text = (error: unknown): string => errorMessage(unpackError(error));
  assert.equal(text(bad('unexpected EOF')), 'failed to register layer: unexpected EOF');
  const mismatch = 'filesystem layer verification failed for digest sha256:1';
  assert.equal(text(bad(mismatch, 'DIGEST_MISMATCH')), mismatch);
  assert.equal(
    text(bad('invalid diffID for layer: expected "a", got "b"')),
    "layers from manifest don't match image configuration",
  );
  const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  assert.equal(text(full), 'failed to register layer: write: no space left on device');
  const named = Object.assign(new Error('write /usr/bin/x: no space left on device'), { code: 'ENOSPC' });
  assert.equal(text(named), 'failed to register layer: write /usr/bin/x: no space left on device');
  const inLayer = Object.assign(new Error('write usr/x: no space left on device'), { code: 'ENOSPC' });
  assert.equal(text(inLayer), 'failed to register layer: write /usr/x: no space left on device');
});
