import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { createKernel } from '../real.ts';

function residentKib(what: 'RssAnon' | 'RssFile'): number {
  const status = readFileSync('/proc/self/status', 'utf8');
  return Number(new RegExp(`^${what}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]);
}

test('pages of the program go and come again as they are needed', () => {
  const { memory } = createKernel();
  const before = residentKib('RssFile');
  memory.release();
  const after = residentKib('RssFile');
  assert.ok(after < before, `${after} of ${before} KiB`);
  for (let n = 0; n < 3; n++) {
    const text = `${n}`.repeat(100_000);
    assert.equal(gunzipSync(gzipSync(text)).toString(), text);
    assert.equal(new Intl.NumberFormat('de').format(1234.5), '1.234,5');
    memory.release();
  }
});
