import assert from 'node:assert/strict';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { isEngineError } from '#base/errors.ts';
import { createKernel } from '#host/real.ts';
import { badMountTarget, MountTargets } from './mount-targets.ts';

const { files } = createKernel();
const folder = mkdtempSync(join(tmpdir(), 'gantry-targets-'));
const LINKS: readonly (readonly [name: string, target: string])[] = [
  ['one', 'two'],
  ['two', '/one'],
  ['self', 'self/x'],
  ['to-circle', '/deep/../one/x'],
  ['past-missing', 'missing/../one'],
  ['dangling', '/nowhere/at/all'],
  ['out', '/../../../../etc'],
  ['to-volume', 'deep/inner/x'],
  ...Array.from({ length: 50 }, (_, i): [string, string] => [`chain${i}`, `chain${i + 1}`]),
  ['chain50', 'deep'],
  ['long', 'deep/../'.repeat(500)],
];
mkdirSync(join(folder, 'deep'));
writeFileSync(join(folder, 'file'), '');
for (const [name, target] of LINKS) symlinkSync(target, join(folder, name));
symlinkSync('inner', join(folder, 'deep/inner'));
const root = openSync(folder, 'r');
after(() => {
  closeSync(root);
  rmSync(folder, { recursive: true });
});

const check = (...targets: string[]): string | null =>
  badMountTarget(
    files,
    root,
    targets.map((destination) => ({ destination })),
  );

test('links in a circle are told, wherever on the way they are', () => {
  for (const path of ['/one', '/one/x', '/two/x', '/self', '/to-circle', '/to-circle/y/z'])
    assert.equal(check(path), `mounts[0].destination: "${path}": too many levels of symbolic links`);
  // A missing directory would be made, and then there is a circle.
  assert.match(check('/past-missing/x') ?? '', /^mounts\[0\]\.destination: .*too many levels/);
  assert.equal(check('/deep', '/nowhere', '/two')?.slice(0, 21), 'mounts[2].destination');
  assert.match(check('/chain0') ?? '', /too many levels/);
  assert.equal(check('/chain15'), null);
});

test('a file is no directory on the way', () => {
  assert.equal(check('/deep', '/file/x'), 'mounts[1].destination: "/file/x": not a directory');
  assert.equal(check('/file'), null);
});

test('what leads somewhere, or to nothing yet, is good', () => {
  for (const path of ['/deep/a/b', '/dangling', '/dangling/x', '/out/passwd', '/nowhere/x', '/deep'])
    assert.equal(check(path), null, path);
});

test('what lies in another mount is not known', () => {
  assert.equal(check('/one/x'), 'mounts[0].destination: "/one/x": too many levels of symbolic links');
  // The circle is in the image's directory, which will be covered: by its name, by a link.
  assert.notEqual(check('/deep/inner/x'), null);
  assert.equal(check('/deep', '/deep/inner/x'), null);
  assert.notEqual(check('/to-volume/x'), null);
  assert.equal(check('/deep', '/to-volume/x'), null);
  assert.equal(check('/chain20', '/to-volume/x'), null);
  // Too late.
  assert.notEqual(check('/to-volume/x', '/deep'), null);
});

test('links without an end cost no more than a bound', () => {
  assert.equal(check(...Array.from({ length: 200 }, (_, i) => `/long/missing${i}`)), null);
});

test('a target out of the root is refused by its path', () => {
  assert.throws(
    () => check('/deep', '/../etc'),
    (error) =>
      isEngineError(error, 'invalidArgument') &&
      error.message === 'mounts[1].destination: "/../etc" leads out of the root',
  );
});

test('a tree that is known is looked through once for the same targets', async () => {
  let asked = 0;
  const reach: typeof files.reach = (...args) => {
    asked += 1;
    return files.reach(...args);
  };
  const targets = new MountTargets({ reach, readLink: files.readLink.bind(files) });
  const times = async (known: string | undefined, ...places: string[]): Promise<number> => {
    asked = 0;
    await targets.bad(
      root,
      places.map((destination) => ({ destination })),
      known,
    );
    return asked;
  };
  assert.equal(await times('image', '/deep', '/file'), 2);
  assert.equal(await times('image', '/deep', '/file'), 0);
  assert.equal(await times('other', '/deep', '/file'), 2);
  assert.equal(await times('image', '/file', '/deep'), 2);
  assert.equal(await times(undefined, '/deep', '/file'), 2);
  // What is refused is refused each time.
  for (let i = 0; i < 2; i++) assert.ok((await times('image', '/one')) > 0);
});
