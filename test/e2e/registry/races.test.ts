import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { pull, registryTest } from '../../support/registry/fixture.ts';
import type { StandinImage } from '../../support/registry/content.ts';
import type { RegistryRole } from '../../support/registry/plan.ts';
import { listed, problemOf } from '../../torture/loads.ts';

const HOST = '127.0.0.1:5000';
const role: RegistryRole = {
  role: 'registry',
  access: { kind: 'none' },
  location: 'relative',
  link: 'relative',
};
const base = [
  { path: 'bin/', type: 'directory' as const },
  { path: 'bin/busybox', content: readFileSync('/bin/busybox'), mode: 0o755 },
  { path: 'bin/sha256sum', type: 'symlink' as const, target: 'busybox' },
];
const contents = Array.from({ length: 4 }, () => randomBytes(400_000));
const images: StandinImage[] = contents.map((content, index) => ({
  ...{ repository: `race/of${index}`, tags: ['v'], layers: [base, [{ path: 'data', content }]] },
}));
const ROUNDS = 6;

registryTest(
  'what is pulled is not collected by removals and prunes beside it',
  { hosts: { [HOST]: [role] }, tls: 'none', images, timeoutMs: 180_000 },
  async ({ daemon }) => {
    let isOver = false;
    const references = images.map(({ repository }) => `${HOST}/${repository}:v`);
    const prune = async (): Promise<void> => {
      const filters = encodeURIComponent(JSON.stringify({ dangling: ['false'] }));
      while (!isOver) {
        const { status } = await daemon.api(`/images/prune?filters=${filters}`, { method: 'POST' });
        assert.ok(status === 200 || status === 409, `prune: ${status}`);
      }
    };
    const remove = async (): Promise<void> => {
      for (let turn = 0; !isOver; turn++) {
        const reference = references[turn % references.length];
        const { status } = await daemon.api(`/images/${reference}?force=1`, { method: 'DELETE' });
        assert.ok([200, 404, 409].includes(status), `rmi: ${status}`);
      }
    };
    const errors: string[] = [];
    const puller = async (reference: string): Promise<void> => {
      for (let round = 0; round < ROUNDS; round++) {
        const { error } = await pull(daemon, reference);
        if (error !== '') errors.push(`${reference}: ${error}`);
      }
    };
    const removers = [prune(), remove()];
    await Promise.all(references.flatMap((reference) => [puller(reference), puller(reference)]));
    isOver = true;
    await Promise.all(removers);
    assert.deepEqual(errors, []);
    await Promise.all(references.map((reference) => pull(daemon, reference)));
    const names = await listed(daemon);
    for (const [index, reference] of references.entries()) {
      assert.ok(names.includes(reference), `${reference} is not there`);
      const hash = createHash('sha256')
        .update(contents[index] ?? '')
        .digest('hex');
      assert.equal(await problemOf(daemon, reference, hash), null);
    }
  },
);
