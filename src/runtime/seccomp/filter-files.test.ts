import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { SpecSeccomp } from '#oci/runtime-spec.ts';
import { compileSeccomp } from './compile.ts';
import { FilterFiles } from './filter-files.ts';

const directory = mkdtempSync(join(tmpdir(), 'gantry-filters-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const denying = (...names: string[]): SpecSeccomp => ({
  defaultAction: 'SCMP_ACT_ALLOW',
  architectures: ['SCMP_ARCH_X86_64'],
  syscalls: [{ names, action: 'SCMP_ACT_ERRNO' }],
});

test('a filter is compiled once, and the same from its file', () => {
  const profile = denying('mkdir', 'chdir');
  const expected = compileSeccomp(profile, 'x86_64');
  const made = new FilterFiles(directory, '1').program(profile, 'x86_64');
  const [name = ''] = readdirSync(directory);
  const path = join(directory, name);
  const { ino } = statSync(path);
  const read = new FilterFiles(directory, '1').program(profile, 'x86_64');
  for (const { flags, program } of [made, read]) {
    assert.equal(flags, expected.flags);
    assert.deepEqual(Buffer.from(program), Buffer.from(expected.program));
  }
  assert.equal(statSync(path).ino, ino, 'it was not written again');
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test('a file of another profile, of an older compiler, cut off or of something else is not used', () => {
  const profile = denying('rmdir');
  const expected = Buffer.from(compileSeccomp(profile, 'x86_64').program);
  const files = new FilterFiles(directory, '2');
  const before = new Set(readdirSync(directory));
  files.program(profile, 'x86_64');
  const path = join(
    directory,
    readdirSync(directory).find((name) => !before.has(name)) ?? [...before][0] ?? '',
  );
  const good = readFileSync(path);
  for (const bad of [Buffer.alloc(0), good.subarray(0, 20), good.subarray(0, -1), Buffer.from('nonsense')]) {
    writeFileSync(path, bad);
    assert.deepEqual(Buffer.from(files.program(profile, 'x86_64').program), expected);
  }
  assert.deepEqual(readFileSync(path), good);
  const newer = new FilterFiles(directory, '3').program(profile, 'x86_64');
  assert.deepEqual(Buffer.from(newer.program), expected);
});

test('there are never more than 32 files, and a directory that cannot be is no error', () => {
  for (let index = 0; index < 100; index++) {
    const profile = { ...denying('read'), defaultErrnoRet: index };
    new FilterFiles(directory, '4').program(profile, 'x86_64');
  }
  assert.ok(readdirSync(directory).length <= 32, readdirSync(directory).join(' '));
  new FilterFiles('/proc/none', '5').program(denying('mkdir'), 'x86_64');
});
