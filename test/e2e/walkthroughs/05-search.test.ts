import assert from 'node:assert/strict';
import { e2e } from '../../support/e2e.ts';
import { registryTest, smallLayers } from '../../support/registry/fixture.ts';
import { OPEN_REGISTRY } from '../../support/registry/plan.ts';
import { startRegistry } from '../../support/registry/real.ts';

const R = '127.0.0.1:5000';
const names = Array.from({ length: 30 }, (_, index) => `team/db${String(index).padStart(2, '0')}`);

registryTest(
  '05: search at a registry',
  {
    ...{ hosts: { [R]: [OPEN_REGISTRY] }, tls: 'none' },
    images: names.map((repository) => ({
      repository,
      tags: ['latest'],
      layers: smallLayers(repository).slice(0, 1),
    })),
  },
  async ({ daemon, standin }) => {
    const rows = async (...args: string[]): Promise<string[]> =>
      (await daemon.mustDocker(['search', ...args])).split('\n');
    const [header = '', ...found] = await rows(`${R}/db`);
    assert.match(header, /^NAME +DESCRIPTION +STARS +OFFICIAL/);
    assert.equal(found.length, 25);
    assert.equal((await rows('--limit', '3', `${R}/db`)).length, 4);
    assert.equal((await rows('-f=stars=5000', `${R}/db`)).length, 1);
    assert.equal((await rows(`${R}/db`, '-f=stars=5000')).length, 1, 'a flag after the argument');
    assert.equal((await rows(`${R}/db`, '-f=stars=9')).length, 26);
    const { entries } = await standin.ledger();
    assert.ok(
      entries.some(({ url }) => url.startsWith('/v1/search?q=db&n=3')),
      JSON.stringify(entries.map(({ url }) => url)),
    );
    const formatted = await rows('--limit', '1', '--format', '{{.Name}} {{.StarCount}}', `${R}/db00`);
    assert.deepEqual(formatted, ['team/db00 9']);
  },
);

e2e('05: search at a registry of ours', {}, async (daemon) => {
  const enter = ['nsenter', `--net=/run/netns/${daemon.network}`, '--'];
  await using registry = await startRegistry({ kind: 'gantry', address: R, enter });
  for (const name of names) {
    await daemon.mustDocker(['tag', 'busybox', `${registry.address}/${name}`]);
    await daemon.mustDocker(['push', '-q', `${registry.address}/${name}`]);
  }
  const found = async (...args: string[]): Promise<string[]> => {
    const [header = '', ...rows] = (await daemon.mustDocker(['search', ...args])).split('\n');
    assert.match(header, /^NAME +DESCRIPTION +STARS +OFFICIAL/);
    return rows.map((row) => row.split(' ')[0] ?? '');
  };
  assert.deepEqual(await found(`${R}/db`), names.slice(0, 25));
  assert.deepEqual(await found('--limit', '3', `${R}/db`), names.slice(0, 3));
  assert.deepEqual(await found(`${R}/db`, '--limit=100'), names);
  // Nobody gives stars to images there.
  assert.deepEqual(await found(`${R}/db`, '-f=stars=1'), []);
  assert.deepEqual(await found(`${R}/db`, '-f=stars=0'), names.slice(0, 25));
});
