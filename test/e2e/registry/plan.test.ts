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
    const asJson = await gantry('pull', '--plan', '--format', 'json', `${HOST}/team/two:v`);
    const facts = JSON.parse(asJson.stdout) as { Digest: string; Layers: { State: string }[] };
    assert.deepEqual(
      facts.Layers.map(({ State }) => State),
      ['layer', 'layer', 'missing', 'missing'],
    );
    const digest = await gantry('pull', '--plan', '--format', '{{.Digest}}', `${HOST}/team/two:v`);
    assert.equal(digest.stdout, `${facts.Digest}\n`);
    const missing = await gantry('pull', '--plan', `${HOST}/team/one:nope`);
    assert.equal(missing.exit, 1);
    assert.match(missing.stderr, /manifest for 127\.0\.0\.1:5000\/team\/one:nope not found/);
  },
);

registryTest(
  'a name without a tag is that of latest, and every tag is pulled when asked for',
  {
    hosts: HOSTS,
    tls: 'none',
    images: [{ repository: 'team/one', tags: ['latest', 'v1', 'v2'], layers: smallLayers('1') }],
  },
  async ({ daemon }) => {
    const gantry = async (...args: string[]): Promise<string> => {
      const env = { ...daemon.clientEnv(), GANTRY_HOST: daemon.host };
      const { exit, stdout, stderr } = await run(GANTRY, args, { env });
      assert.equal(exit, 0, stderr);
      return stdout;
    };
    const tags = async (): Promise<string[]> =>
      (await daemon.mustDocker(['images', '--format', '{{.Tag}}'])).split('\n').toSorted();
    const pulled = await gantry('pull', `${HOST}/team/one`);
    assert.match(pulled, /^Using default tag: latest\nlatest: Pulling from team\/one\n/);
    assert.ok(pulled.endsWith(`\n${HOST}/team/one:latest\n`), pulled);
    assert.deepEqual(await tags(), ['latest']);
    assert.equal(await gantry('pull', '-q', `${HOST}/team/one:v1`), `${HOST}/team/one:v1\n`);
    assert.deepEqual(await tags(), ['latest', 'v1']);
    await gantry('pull', '--all-tags', `${HOST}/team/one`);
    assert.deepEqual(await tags(), ['latest', 'v1', 'v2']);
    const plan = await gantry('image', 'prune', '--all', '--dry-run');
    assert.match(plan, /\n127\.0\.0\.1:5000\/team\/one@sha256:[0-9a-f]{12}…\n/);
    assert.match(plan, /\n127\.0\.0\.1:5000\/team\/one:v2\n/);
  },
);
