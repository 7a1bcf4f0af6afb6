import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { isEngineError } from '#base/errors.ts';
import type { Member } from './archive-builder.ts';
import { canaryIn, hostileLayers, type HostileLayer } from './hostile-corpus.ts';
import { startSwapper } from './hostile-swapper.ts';
import { commit, fixture } from './storage-fixture.ts';

/*
 * The corpus of hostile layers with somebody beside who exchanges names of the tree that is being written
 * with links to the canary. A layer may be refused or come out wrong then; it must not lead outside.
 */

test('the swapper catches who writes by paths', { timeout: 60_000 }, async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'gantry-swapper-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const outside = canaryIn(root);
  const tree = join(root, 'trees', '.staged-naive', 'diff');
  mkdirSync(join(tree, 'd'), { recursive: true });
  const swapper = startSwapper({
    ...{ trees: join(root, 'trees'), away: join(root, 'away'), target: outside.path },
  });
  const isCaught = (): boolean => readdirSync(outside.path).includes('caught');
  for (const until = Date.now() + 30_000; Date.now() < until && !isCaught(); await nextTurn())
    for (let i = 0; i < 100; i++) writeFileSync(join(tree, 'd', 'caught'), 'x');
  await swapper.stop();
  assert.ok(isCaught(), 'nothing was written through a link');
  assert.throws(() => outside.check(), /canary/);
});

/** A layer with fewer entries is written more often, and more lies around it, so that it takes time. */
const SMALL = 1000;
const PADDING = 400;

const padding = (kind: string): Member[] =>
  Array.from({ length: PADDING }, (_, i) => ({ name: `${kind}${i % 7}/${i}/file`, content: 'padding' }));

/** The names that an attack goes through are directories first: the writer knows them as such. */
function prepared(layer: HostileLayer): readonly Member[] {
  const names = ['l', 'out', 'h', 'k', 'n', 'd0', 'd1', 'd2'];
  return names.flatMap((name) => [{ name: `${name}/` }, { name: `${name}/file`, content: layer.name }]);
}

function formsOf(layer: HostileLayer): readonly (readonly Member[])[] {
  const { members } = layer;
  if (members.length >= SMALL) return [members];
  const often = Array.from({ length: 30 }, () => members).flat();
  return [
    [...prepared(layer), ...padding('before'), ...members, ...padding('after')],
    [...prepared(layer), ...often, ...padding('after')],
  ];
}

/** Directories that are written into again and again, at two depths. */
function rounds(): readonly Member[] {
  return Array.from({ length: 4000 }, (_, i) => ({
    name: i % 2 === 0 ? `d${i % 8}/f${i}` : `e${i % 8}/sub/g${i % 100}`,
    content: 'overwritten',
    mode: 0o777,
    uid: 1,
  }));
}

test('the whole corpus, with links swapped in on another thread', { timeout: 240_000 }, async (t) => {
  const fix = await fixture(t);
  const outside = canaryIn(fix.root);
  const trees = join(fix.root, 'overlay2');
  const swapper = startSwapper({ trees, away: join(fix.root, 'away'), target: outside.path });
  let layers = 0;
  try {
    const corpus = [{ name: 'rounds', members: rounds() }, ...hostileLayers(outside.path)];
    for (const layer of corpus) {
      const parent =
        layer.below === undefined
          ? null
          : await commit(fix.storage, layer.below).then(
              ({ chainId }) => chainId,
              () => null,
            );
      for (const members of formsOf(layer)) {
        const problem = await commit(fix.storage, members, parent).catch((error: unknown) => error);
        if (problem instanceof Error) assert.ok(isEngineError(problem), `${layer.name}: ${String(problem)}`);
        outside.check(layer.name);
        layers += 1;
      }
    }
  } finally {
    await swapper.stop();
  }
  const { swaps, trees: met } = swapper.count();
  t.diagnostic(`${layers} layers, ${swaps} links swapped into ${met} trees`);
  assert.ok(met >= layers / 2, `links stood in ${met} trees of ${layers}`);
  assert.ok(swaps >= layers * 20, `${swaps} links for ${layers} layers`);
  // What was left because of the swapping goes with the next start, and that follows no link either.
  await fix.storage.close();
  await fix.reopen();
  assert.deepEqual(
    readdirSync(trees).filter((name) => name.startsWith('.staged')),
    [],
  );
  outside.check('after the next start');
});
