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

registryTest(
  'a container whose image is not here: pulled, never, or always',
  {
    hosts: HOSTS,
    tls: 'none',
    images: [{ repository: 'team/one', tags: ['latest'], layers: smallLayers('1') }],
  },
  async ({ daemon }) => {
    const env = { ...daemon.clientEnv(), GANTRY_HOST: daemon.host };
    const create = (...args: string[]) => run(GANTRY, ['create', ...args], { env });
    const image = `${HOST}/team/one`;
    const never = await create('--pull', 'never', image, 'sh');
    assert.deepEqual([never.exit, never.stdout], [1, '']);
    assert.match(never.stderr, /No such image: 127\.0\.0\.1:5000\/team\/one:latest\n$/);
    const pulled = await create(image, 'sh');
    assert.equal(pulled.exit, 0, pulled.stderr);
    assert.match(pulled.stdout, /^[0-9a-f]{64}\n$/);
    assert.ok(pulled.stderr.startsWith(`Unable to find image '${image}:latest' locally\n`), pulled.stderr);
    assert.match(pulled.stderr, /\nStatus: Downloaded newer image for /);
    const again = await create(image, 'sh');
    assert.deepEqual([again.exit, again.stderr], [0, '']);
    const always = await create('--pull', 'always', image, 'sh');
    assert.equal(always.exit, 0);
    assert.match(always.stderr, /^latest: Pulling from team\/one\n(?:.*\n)*Status: Image is up to date for /);
    const id = await daemon.mustDocker(['images', '-q', '--no-trunc']);
    await daemon.mustDocker(['rmi', '-f', id]);
    const byId = await create(id, 'sh');
    assert.deepEqual([byId.exit, byId.stderr], [1, `Error response from daemon: No such image: ${id}\n`]);
    const bad = await run(GANTRY, ['run', 'UPPER'], { env });
    assert.equal(bad.exit, 125);
    assert.match(bad.stderr, /^gantry: invalid reference format: repository name .+ must be lowercase\n/);
    const none = await run(GANTRY, ['run', `${HOST}/team/none`], { env });
    assert.deepEqual([none.exit, none.stdout], [125, '']);
    assert.match(none.stderr, /\ngantry: .*team\/none.*\n/);
  },
);
