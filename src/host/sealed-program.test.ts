import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  copyFileSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { sealProgram, type SealedProgram } from './sealed-program.ts';

function run(program: SealedProgram): string {
  const result = spawnSync(program.path, ['echo', 'runs'], { argv0: 'busybox', encoding: 'utf8' });
  return result.error === undefined ? result.stdout : result.error.message;
}

test('a sealed program runs and cannot be changed, not even by root', () => {
  const program = sealProgram('/bin/busybox');
  const writer = openSync(program.path, 'r+');
  try {
    assert.throws(() => writeSync(writer, 'x'), /EPERM/);
    assert.throws(() => openSync(program.path, 'w'), /EPERM/);
    assert.match(run(program), /ETXTBSY/);
    program.renew();
    assert.equal(run(program), 'runs\n');
  } finally {
    closeSync(writer);
    program.close();
  }
});

test('where memory may not be executed a read-only mount of the file itself is, and cannot be changed', () => {
  const directory = mkdtempSync(join(tmpdir(), 'gantry-sealed-'));
  const original = join(directory, 'busybox');
  copyFileSync('/bin/busybox', original);
  const program = sealProgram(original, { memory: () => -constants.errno.EACCES });
  try {
    assert.equal(run(program), 'runs\n');
    for (const flags of ['r+', 'w', 'a']) assert.throws(() => openSync(program.path, flags), /EROFS/, flags);
    assert.throws(() => chmodSync(program.path, 0o777), /EROFS/);
    assert.throws(() => truncateSync(program.path, 0), /EROFS/);
    // As a process of it shows the program: what a container's root would try.
    const script = `exec 3>>/proc/self/exe || true; echo "$?"`;
    const inside = spawnSync(program.path, ['sh', '-c', script], { argv0: 'busybox', encoding: 'utf8' });
    assert.match(inside.stderr, /Read-only file system|Text file busy/);
    program.renew();
    assert.equal(run(program), 'runs\n');
    assert.ok(!readFileSync('/proc/self/mountinfo', 'utf8').includes(directory));
    assert.deepEqual(readFileSync(original), readFileSync('/bin/busybox'));
  } finally {
    program.close();
    rmSync(directory, { recursive: true });
  }
});

test('what else goes wrong with the copy is told', () => {
  assert.throws(
    () => sealProgram('/bin/busybox', { memory: () => -constants.errno.EMFILE }),
    /EMFILE.*memfd_create '\/bin\/busybox'/,
  );
});
