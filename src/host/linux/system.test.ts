import assert from 'node:assert/strict';
import { test } from 'node:test';
import { amd64Level } from './system.ts';

test('the level of a processor is the last one that it has wholly', () => {
  const v2 = 'cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3';
  const v3 = 'abm avx avx2 bmi1 bmi2 f16c fma movbe xsave';
  const v4 = 'avx512f avx512bw avx512cd avx512dq avx512vl';
  const level = (flags: string): string => amd64Level(`processor\t: 0\nflags\t\t: fpu ${flags}\nbugs\t\t:\n`);
  assert.equal(level('sse2'), 'v1');
  assert.equal(level(v2), 'v2');
  assert.equal(level(`${v2} ${v4}`), 'v2');
  assert.equal(level(`${v2} ${v3}`), 'v3');
  assert.equal(level(`${v2} ${v3} ${v4}`), 'v4');
  assert.equal(amd64Level(''), 'v1');
});
