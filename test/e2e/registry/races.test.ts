import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { nothingIsBegun, pull, registryTest } from '../../support/registry/fixture.ts';
import type { StandinImage } from '../../support/registry/content.ts';
import { OPEN_REGISTRY } from '../../support/registry/plan.ts';
import { listed, problemOf } from '../../torture/known-image.ts';

const HOST = '127.0.0.1:5000';
const base = [
  { path: 'bin/', type: 'directory' as const },
  { path: 'bin/busybox', content: readFileSync('/bin/busybox'), mode: 0o755 },
  { path: 'bin/sha256sum', type: 'symlink' as const, target: 'busybox' },
];
const contents = Array.from({ length: 4 }, () => randomBytes(400_000));
const images: StandinImage[] = contents.map((content, index) => ({
  ...{ repository: `race/of${index}`, tags: ['v'], layers: [base, [{ path: 'data', content }]] },
}));
/** Of each client in a round. */
const PULLS = 3;

registryTest(
  'what is pulled is not collected by removals and prunes beside it',
  { hosts: { [HOST]: [OPEN_REGISTRY] }, tls: 'none', images, timeoutMs: 180_000 },
  async ({ daemon }) => {
    const references = images.map(({ repository }) => `${HOST}/${repository}:v`);
    const taken = { pruned: 0, removed: 0 };
    const prune = async (): Promise<void> => {
      const filters = encodeURIComponent(JSON.stringify({ dangling: ['false'] }));
      const { status, json } = await daemon.api(`/images/prune?filters=${filters}`, { method: 'POST' });
      assert.ok(status === 200 || status === 409, `prune: ${status}`);
      if (status === 200)
        taken.pruned += (json as { ImagesDeleted: unknown[] | null }).ImagesDeleted?.length ?? 0;
    };
    const remove = async (): Promise<void> => {
      for (const reference of references) {
        const { status } = await daemon.api(`/images/${reference}?force=1`, { method: 'DELETE' });
        assert.ok([200, 404, 409].includes(status), `rmi: ${status}`);
        if (status === 200) taken.removed++;
      }
    };
    const errors: string[] = [];
    const puller = async (reference: string): Promise<void> => {
      for (let turn = 0; turn < PULLS; turn++) {
        const { error } = await pull(daemon, reference);
        if (error !== '') errors.push(`${reference}: ${error}`);
      }
    };
    // Alone in its round, each takes something: at the latest what its last turn finds after the pulls.
    for (const takers of [[prune], [remove], [prune, remove], [prune, remove]]) {
      let isOver = false;
      const taking = takers.map(async (take) => {
        for (let isLast = false; !isLast; ) {
          isLast = isOver;
          await take();
        }
      });
      const pulling = Promise.all(references.flatMap((each) => [puller(each), puller(each)]));
      await Promise.all([...taking, pulling.finally(() => (isOver = true))]);
    }
    assert.deepEqual(errors, []);
    assert.ok(taken.pruned > 0 && taken.removed > 0, JSON.stringify(taken));
    await Promise.all(references.map((reference) => pull(daemon, reference)));
    const names = await listed(daemon);
    for (const [index, reference] of references.entries()) {
      assert.ok(names.includes(reference), `${reference} is not there`);
      const hash = createHash('sha256')
        .update(contents[index] ?? '')
        .digest('hex');
      assert.equal(await problemOf(daemon, reference, hash), null);
    }
    await prune();
    await nothingIsBegun({ daemon });
    assert.deepEqual(await readdir(`${daemon.dataRoot}/content/blobs/sha256`), []);
  },
);
