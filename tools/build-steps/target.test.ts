import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { DIST } from '../paths.ts';
import { isFresh, make, type Target, writeWhole } from './target.ts';

const folder = mkdtempSync(join(tmpdir(), 'gantry-target-'));
const name = `test-${process.pid}`;
after(() => {
  rmSync(folder, { recursive: true, force: true });
  rmSync(join(DIST, '.stamps', `${name}.json`), { force: true });
});

const [first, second, output] = [join(folder, 'first'), join(folder, 'second'), join(folder, 'output')];

function targetOf(inputs: readonly string[], run?: Target['run']): Target {
  const build = async (): Promise<string[]> => {
    writeWhole(output, 'made');
    return [second];
  };
  return { name, outputs: [output], inputs, run: run ?? build };
}

test('a target is made when something it depends on changed, and only then', async () => {
  writeFileSync(first, '1');
  writeFileSync(second, '1');
  assert.equal(await make(targetOf([first])), 'built');
  assert.equal(await make(targetOf([first])), 'fresh');
  utimesSync(first, 1, 1);
  assert.equal(await make(targetOf([first])), 'fresh', 'another time, the same content');
  writeFileSync(second, '2');
  assert.equal(await make(targetOf([first])), 'built', 'a file that only the run knows');
  assert.equal(await make(targetOf([first, second])), 'built', 'another list of inputs');
  rmSync(output);
  assert.equal(await make(targetOf([first, second])), 'built', 'no output');
});

test('a failed run leaves nothing that looks fresh', async () => {
  const failing = targetOf([first], () => Promise.reject(new Error('no')));
  await make(targetOf([first]));
  writeFileSync(first, '3');
  await assert.rejects(make(failing), /no/);
  assert.equal(isFresh(targetOf([first])), false);
});
