import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isEngineError } from '#base/errors.ts';
import {
  familiarName,
  familiarReference,
  formatReference,
  parseAnyReference,
  parseReference,
  withDefaultTag,
} from './reference.ts';

const HEX = 'a'.repeat(64);

test('familiar names are normalised, and back', () => {
  const cases: [string, string, string][] = [
    ['busybox', 'docker.io/library/busybox', 'busybox'],
    ['busybox:1', 'docker.io/library/busybox:1', 'busybox:1'],
    ['docker.io/busybox', 'docker.io/library/busybox', 'busybox'],
    ['index.docker.io/library/busybox', 'docker.io/library/busybox', 'busybox'],
    ['team/app', 'docker.io/team/app', 'team/app'],
    ['localhost/app', 'localhost/app', 'localhost/app'],
    ['host:5000/a/b:x', 'host:5000/a/b:x', 'host:5000/a/b:x'],
    ['[::1]:5000/a', '[::1]:5000/a', '[::1]:5000/a'],
    ['example.com/a__b/c-d.e', 'example.com/a__b/c-d.e', 'example.com/a__b/c-d.e'],
    [`a@sha256:${HEX}`, `docker.io/library/a@sha256:${HEX}`, `a@sha256:${HEX}`],
    [`a:1@sha256:${HEX}`, `docker.io/library/a:1@sha256:${HEX}`, `a:1@sha256:${HEX}`],
  ];
  for (const [text, whole, familiar] of cases) {
    const reference = parseReference(text);
    assert.equal(formatReference(reference), whole, text);
    assert.equal(familiarReference(reference), familiar, text);
  }
  assert.equal(familiarReference(withDefaultTag(parseReference('busybox'))), 'busybox:latest');
  assert.equal(familiarName(parseReference('docker.io/library/a/b')), 'library/a/b');
});

test('bad references have the texts that clients know', () => {
  const cases: [string, string][] = [
    ['', 'invalid reference format'],
    ['BAD', 'invalid reference format: repository name (library/BAD) must be lowercase'],
    ['BAD/Name', 'invalid reference format: repository name (Name) must be lowercase'],
    ['Bad Ref', 'invalid reference format: repository name (library/Bad Ref) must be lowercase'],
    ['UPPER:1', 'invalid reference format: repository name (library/UPPER) must be lowercase'],
    ['x:bad tag', 'invalid reference format'],
    ['a b', 'invalid reference format'],
    ['-a', 'invalid reference format'],
    ['a//b', 'invalid reference format'],
    ['a:', 'invalid reference format'],
    [`a:${'t'.repeat(129)}`, 'invalid reference format'],
    ['a@sha256:zz', 'invalid reference format'],
    [`a@sha512:${HEX}`, 'unsupported digest algorithm'],
    [`a@sha256:${'a'.repeat(63)}`, 'invalid checksum digest length'],
    ['../../etc/passwd', 'invalid reference format'],
    [HEX, `invalid repository name (${HEX}), cannot specify 64-byte hexadecimal strings`],
    [`a/${'b'.repeat(256)}`, 'repository name must not be more than 255 characters'],
    [`a/${'b-'.repeat(5000)}`, 'invalid reference format'],
  ];
  for (const [text, message] of cases) {
    assert.throws(
      () => parseReference(text),
      (error) => isEngineError(error, 'invalidArgument') && error.message === message,
      text.slice(0, 40),
    );
  }
});

test('whole ids are digests, everything else is a name', () => {
  assert.deepEqual(parseAnyReference(HEX), { kind: 'digest', digest: `sha256:${HEX}` });
  assert.deepEqual(parseAnyReference(`sha256:${HEX}`), { kind: 'digest', digest: `sha256:${HEX}` });
  assert.equal(parseAnyReference('abc').kind, 'named');
  assert.equal(parseAnyReference('__proto__'.replaceAll('_', 'x')).kind, 'named');
});
