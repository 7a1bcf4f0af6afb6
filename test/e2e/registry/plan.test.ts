import assert from 'node:assert/strict';
import { join } from 'node:path';
import { run } from '../../support/command.ts';
import { registryTest, smallLayers } from '../../support/registry/fixture.ts';
import { OPEN_REGISTRY, type Role } from '../../support/registry/plan.ts';

const GANTRY = join(import.meta.dirname, '../../../bin/gantry');
const HOST = '127.0.0.1:5000';
const HOSTS: Readonly<Record<string, readonly Role[]>> = { [HOST]: [OPEN_REGISTRY] };

registryTest(
  'a pull is shown before it is done, with what is here already',
  {
    hosts: HOSTS,
    tls: 'none',
    images: [
      { repository: 'team/one', tags: ['v'], layers: smallLayers('1') },
      { repository: 'team/two', tags: ['v'], layers: [...smallLayers('1'), ...smallLayers('2')] },
    ],
  },
  async ({ daemon }) => {
    const gantry = async (
      ...args: string[]
    ): Promise<{ exit: number | null; stdout: string; stderr: string }> =>
      run(GANTRY, args, { env: { ...daemon.clientEnv(), GANTRY_HOST: daemon.host } });
    const plan = await gantry('pull', '--plan', `${HOST}/team/one:v`);
    assert.equal(plan.exit, 0, plan.stderr);
    assert.match(
      plan.stdout,
      new RegExp(`^${HOST}/team/one:v \\(linux/amd64[^)]*\\)\nDigest: sha256:[0-9a-f]{64}\n`),
    );
    assert.equal(plan.stdout.match(/to be fetched/g)?.length, 2, plan.stdout);
    assert.match(plan.stdout, /\nWould fetch: \d/);
    assert.equal(await daemon.mustDocker(['images', '-q']), '');

    const pulled = await gantry('pull', `${HOST}/team/one:v`);
    assert.equal(pulled.exit, 0, pulled.stderr);
    assert.match(pulled.stdout, /Status: Downloaded newer image for 127\.0\.0\.1:5000\/team\/one:v\n/);
    const again = await gantry('pull', '--plan', `${HOST}/team/one:v`);
    assert.match(again.stdout, /\nImage is up to date\.\n$/);
    const other = await gantry('pull', '--plan', `${HOST}/team/two:v`);
    assert.equal(other.stdout.match(/is here\n/g)?.length, 2, other.stdout);
    assert.equal(other.stdout.match(/to be fetched/g)?.length, 2, other.stdout);
    const missing = await gantry('pull', '--plan', `${HOST}/team/one:nope`);
    assert.equal(missing.exit, 1);
    assert.match(missing.stderr, /manifest for 127\.0\.0\.1:5000\/team\/one:nope not found/);
  },
);
