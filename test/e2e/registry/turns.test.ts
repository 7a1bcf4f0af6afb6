import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { until } from '../../support/command.ts';
import { pull, push, type RegistryTest, registryTest } from '../../support/registry/fixture.ts';
import { type Fault, type LedgerEntry, OPEN_REGISTRY } from '../../support/registry/plan.ts';

/* `max-concurrent-downloads`, `-uploads` and `max-download-attempts`, as the registry sees them. */

const R = '127.0.0.1:5000';
/** To push to: another registry, where nothing is known to be there. */
const TARGET = '127.0.0.1:5001';
const LAYER_BYTES = 150_000;
/** Long beside what lies between two requests. */
const SLOW: Fault = { method: 'GET', path: '/blobs/', act: { kind: 'slow', bytesPerSecond: 300_000 } };
const LATE: Fault = { method: 'PUT', path: '/blobs/uploads/', act: { kind: 'late', ms: 500 } };

const layers = (count: number) =>
  Array.from({ length: count }, (_, index) => [{ path: `f${index}`, content: randomBytes(LAYER_BYTES) }]);
const images = (names: readonly string[], count = 4) =>
  names.map((repository) => ({ repository, tags: ['v'], layers: layers(count) }));
const ground = (names: readonly string[]) => ({
  ...{
    hosts: { [R]: [OPEN_REGISTRY], [TARGET]: [OPEN_REGISTRY] },
    tls: 'none' as const,
    images: images(names),
  },
  faults: [SLOW],
});

/** How many of them there were at once, at most. */
function together(entries: readonly LedgerEntry[]): number {
  const inOrder = entries.toSorted((a, b) => a.atMs - b.atMs);
  return Math.max(
    ...inOrder.map(({ atMs }) => inOrder.filter((one) => one.atMs <= atMs && one.sentMs > atMs).length),
  );
}

/** Without those of configurations, which wait for no turn. */
async function layerTransfers(
  { standin }: RegistryTest,
  method: 'GET' | 'PUT' = 'GET',
): Promise<readonly LedgerEntry[]> {
  const digests = standin.images.flatMap((image) => image.layers.map(({ digest }) => digest));
  const { entries } = await standin.ledger({ clear: true });
  return entries.filter(
    (entry) =>
      entry.method === method && digests.some((digest) => decodeURIComponent(entry.url).endsWith(digest)),
  );
}

async function pullAll({ daemon }: RegistryTest, names: readonly string[]): Promise<void> {
  const answers = await Promise.all(names.map((name) => pull(daemon, `${R}/${name}:v`)));
  assert.deepEqual(
    answers.map(({ error }) => error),
    names.map(() => ''),
  );
}

registryTest(
  'no more downloads at once than daemon.json says, over all pulls, and another number after SIGHUP',
  { ...ground(['a', 'b', 'c', 'd']), daemon: { config: { 'max-concurrent-downloads': 2 } } },
  async (given) => {
    const { daemon } = given;
    await pullAll(given, ['a', 'b']);
    const before = await layerTransfers(given);
    assert.deepEqual([before.length, together(before)], [8, 2]);
    await writeFile(`${daemon.root}/daemon.json`, JSON.stringify({ 'max-concurrent-downloads': 5 }));
    process.kill(daemon.pid, 'SIGHUP');
    await until(
      async () => (/max-concurrent-downloads|reload/i.test(await daemon.log()) ? true : undefined),
      {
        what: 'the new configuration',
      },
    );
    await pullAll(given, ['c', 'd']);
    const after = await layerTransfers(given);
    assert.deepEqual([after.length, together(after)], [8, 5]);
  },
);

registryTest('three downloads at once where nothing is said', ground(['a', 'b']), async (given) => {
  await pullAll(given, ['a', 'b']);
  assert.equal(together(await layerTransfers(given)), 3);
});

registryTest(
  'one download at once by a flag: one image after the other goes on',
  { ...ground(['a', 'b']), daemon: { args: ['--max-concurrent-downloads', '1'] } },
  async (given) => {
    await pullAll(given, ['a', 'b']);
    assert.equal(together(await layerTransfers(given)), 1);
  },
);

for (const [how, daemon, most] of [
  ['daemon.json', { config: { 'max-concurrent-uploads': 2 } }, 2],
  ['a flag', { args: ['--max-concurrent-uploads', '3'] }, 3],
  ['nobody', {}, 5],
] as const)
  registryTest(
    `no more uploads at once than ${how} says, over all pushes`,
    { ...ground(['a', 'b']), faults: [], daemon },
    async (given) => {
      const { standin } = given;
      await pullAll(given, ['a', 'b']);
      for (const name of ['a', 'b'])
        await given.daemon.mustDocker(['tag', `${R}/${name}:v`, `${TARGET}/pushed/${name}:w`]);
      await standin.ledger({ clear: true });
      await standin.setFaults([LATE]);
      const answers = await Promise.all(
        ['a', 'b'].map((name) => push(given.daemon, `${TARGET}/pushed/${name}:w`)),
      );
      for (const { error } of answers) assert.equal(error, '');
      const uploads = await layerTransfers(given, 'PUT');
      assert.deepEqual([uploads.length, together(uploads)], [8, most]);
    },
  );

registryTest(
  'a layer is asked for as often as max-download-attempts says',
  { ...ground(['a']), daemon: { config: { 'max-download-attempts': 2 } } },
  async (given) => {
    const { daemon, standin } = given;
    const [lost] = standin.images[0]?.layers ?? [];
    const path = `/blobs/${lost?.digest}`;
    for (const [act, text, range] of [
      [{ kind: 'status', status: 500 }, /500 Internal Server Error\n$/, ''],
      [{ kind: 'short', bytes: 1000 }, /unexpected EOF\n$/, 'bytes=N-'],
    ] as const) {
      await standin.setFaults([{ method: 'GET', path, act }]);
      const { exit, stderr } = await daemon.docker(['pull', `${R}/a:v`]);
      assert.equal(exit, 1);
      assert.match(stderr, text);
      const asked = (await layerTransfers(given)).filter(({ url }) => url.endsWith(path));
      const ranges = asked.map((entry) => entry.range.replace(/\d+/, 'N'));
      assert.deepEqual(ranges, ['', range], act.kind);
    }
    await standin.setFaults([{ method: 'GET', path, times: 1, act: { kind: 'short', bytes: 1000 } }]);
    await daemon.mustDocker(['pull', `${R}/a:v`]);
  },
);
