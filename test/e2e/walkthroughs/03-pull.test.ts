import assert from 'node:assert/strict';
import type { TestDaemon } from '../../support/daemon.ts';
import { registryTest, smallLayers } from '../../support/registry/fixture.ts';
import type { BuiltStandinImage } from '../../support/registry/content.ts';
import { OPEN_REGISTRY } from '../../support/registry/plan.ts';
import { type RealKind, registryIsMissing, startRegistry } from '../../support/registry/real.ts';
import type { WireEntry } from '../../support/registry/wire-plan.ts';
import { startWire } from '../../support/registry/wire.ts';

const R = '127.0.0.1:5000';
/** The wire to a real registry, which counts, and the registry behind it. */
const REAL = '127.0.0.1:5001';
const PORTS = { listen: 5001, upstream: 5002 } as const;
const shared = Array.from({ length: 7 }, (_, index) => smallLayers(`shared ${index}`)[1] ?? []);
const own = (tag: string) => [{ path: `only-in-${tag}`, content: tag }];

const images = ['latest', '5.7'].map((tag) => ({
  ...{ repository: 'db', tags: [tag], layers: [...shared, own(tag)] },
}));

interface Pulled {
  readonly first: string;
  readonly second: string;
}

/** Both tags, one after the other, with what `between` is for done between them. */
async function pullBoth(
  daemon: TestDaemon,
  of: { readonly registry: string; readonly between: () => Promise<unknown> },
): Promise<Pulled> {
  const first = await daemon.mustDocker(['pull', `${of.registry}/db`]);
  await of.between();
  const second = await daemon.mustDocker(['pull', `${of.registry}/db:5.7`]);
  return { first, second };
}

function assertSaid({ first, second }: Pulled, of: { registry: string; digest: string }): void {
  assert.match(first, /^Using default tag: latest\nlatest: Pulling from db\n/);
  assert.equal(first.match(/: Pull complete$/gm)?.length, 8);
  assert.match(second, /^5\.7: Pulling from db\n/);
  assert.equal(second.match(/: Already exists$/gm)?.length, 7);
  assert.equal(second.match(/: Pull complete$/gm)?.length, 1);
  assert.match(second, new RegExp(`Digest: ${of.digest}`));
  assert.match(second, new RegExp(`Status: Downloaded newer image for ${of.registry}/db:5.7`));
}

/** What was fetched of the second tag: its configuration and its own layer, each once, and nothing else. */
function assertFetched(
  entries: readonly { readonly method: string; readonly url: string }[],
  image: BuiltStandinImage | undefined,
): void {
  const asked = entries.filter(({ url }) => url.includes('/blobs/'));
  const expected = [image?.id, image?.layers.at(-1)?.digest].map((digest) => `GET /v2/db/blobs/${digest}`);
  assert.deepEqual(asked.map(({ method, url }) => `${method} ${url}`).sort(), expected.sort());
}

registryTest(
  '03: layers that are here are not fetched again',
  { ...{ hosts: { [R]: [OPEN_REGISTRY] }, tls: 'none' }, images },
  async ({ daemon, standin }) => {
    const between = () => standin.ledger({ clear: true });
    const pulled = await pullBoth(daemon, { registry: R, between });
    assertSaid(pulled, { registry: R, digest: standin.images[1]?.digest ?? '' });
    assertFetched((await standin.ledger()).entries, standin.images[1]);
  },
);

for (const kind of ['gantry', 'docker-registry'] as readonly RealKind[])
  registryTest(
    `03: layers that are here are not fetched again: ${kind}`,
    {
      ...{ hosts: { [R]: [OPEN_REGISTRY] }, tls: 'none', skip: registryIsMissing(kind) },
      images,
    },
    async ({ daemon, standin }) => {
      const enter = ['nsenter', `--net=/run/netns/${daemon.network}`, '--'];
      const address = `127.0.0.1:${PORTS.upstream}`;
      await using _registry = await startRegistry({ kind, address, enter });
      await using wire = await startWire(daemon, { ...PORTS, bytesPerSecond: 0 });
      const names = ['latest', '5.7'].map((tag) => [`${R}/db:${tag}`, `${REAL}/db:${tag}`] as const);
      for (const [here, there] of names) {
        await daemon.mustDocker(['pull', '-q', here]);
        await daemon.mustDocker(['tag', here, there]);
        await daemon.mustDocker(['push', '-q', there]);
      }
      await daemon.mustDocker(['rmi', ...names.flat()]);
      const fetched = async (): Promise<readonly WireEntry[]> => wire.ledger({ clear: true });
      await fetched();
      let first: readonly WireEntry[] = [];
      const between = async (): Promise<void> => void (first = await fetched());
      const pulled = await pullBoth(daemon, { registry: REAL, between });
      assertSaid(pulled, { registry: REAL, digest: standin.images[1]?.digest ?? '' });
      // That the wire counts: the first tag came through it whole.
      assert.equal(first.filter(({ url }) => url.includes('/blobs/')).length, 9);
      assertFetched(await fetched(), standin.images[1]);
    },
  );
