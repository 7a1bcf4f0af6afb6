import assert from 'node:assert/strict';
import { registryTest, smallLayers } from '../../support/registry/fixture.ts';
import { OPEN_REGISTRY } from '../../support/registry/plan.ts';

const R = '127.0.0.1:5000';
const shared = Array.from({ length: 7 }, (_, index) => smallLayers(`shared ${index}`)[1] ?? []);
const own = (tag: string) => [{ path: `only-in-${tag}`, content: tag }];

registryTest(
  '03: layers that are here are not fetched again',
  {
    ...{ hosts: { [R]: [OPEN_REGISTRY] }, tls: 'none' },
    images: [
      { repository: 'db', tags: ['latest'], layers: [...shared, own('latest')] },
      { repository: 'db', tags: ['5.7'], layers: [...shared, own('5.7')] },
    ],
  },
  async ({ daemon, standin }) => {
    const first = await daemon.mustDocker(['pull', `${R}/db`]);
    assert.match(first, /^Using default tag: latest\nlatest: Pulling from db\n/);
    assert.equal(first.match(/: Pull complete$/gm)?.length, 8);
    await standin.ledger({ clear: true });
    const second = await daemon.mustDocker(['pull', `${R}/db:5.7`]);
    assert.match(second, /^5\.7: Pulling from db\n/);
    assert.equal(second.match(/: Already exists$/gm)?.length, 7);
    assert.match(second, new RegExp(`Digest: ${standin.images[1]?.digest}`));
    assert.match(second, new RegExp(`Status: Downloaded newer image for ${R}/db:5.7`));
    const fetched = (await standin.ledger()).entries.filter(
      ({ method, url }) => method === 'GET' && url.includes('/blobs/'),
    );
    const sharedDigests = standin.images[0]?.layers.slice(0, 7).map(({ digest }) => digest) ?? [];
    for (const { url } of fetched) assert.ok(!sharedDigests.some((digest) => url.includes(digest)), url);
    assert.equal(fetched.length, 2, 'the configuration and one layer');
  },
);
