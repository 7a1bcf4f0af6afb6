import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
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
