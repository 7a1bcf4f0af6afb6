import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  assertCredentialsStay,
  pull,
  registryAuth,
  type RegistryTest,
  registryTest,
} from '../../support/registry/fixture.ts';
import type { StandinImage } from '../../support/registry/content.ts';
import {
  type Fault,
  type LedgerEntry,
  OPEN_REGISTRY,
  type RegistryRole,
} from '../../support/registry/plan.ts';

/* Who is asked, in which order, and how long somebody is waited for who says nothing. */

const ORIGIN = '127.0.0.1:5000';
const [FIRST, SECOND, THIRD] = ['127.0.0.1:5001', '127.0.0.1:5002', '127.0.0.1:5003'] as const;
/** Two seconds, as a machine with much to do keeps them. */
const [SILENCE_LEAST_MS, SILENCE_MOST_MS] = [1900, 6000] as const;
const mirror: RegistryRole = { ...OPEN_REGISTRY, mirrorOf: ORIGIN };
const SILENT: Fault = { host: FIRST, act: { kind: 'stall-before-headers' } };
const layer = (name: string) => [{ path: name, content: randomBytes(100_000) }];
const image: StandinImage = { repository: 'team/app', tags: ['v'], layers: ['a', 'b', 'c'].map(layer) };

function ground(faults: readonly Fault[], mirrors: readonly string[] = [FIRST, SECOND, THIRD]) {
  return {
    hosts: { [ORIGIN]: [OPEN_REGISTRY], ...Object.fromEntries(mirrors.map((host) => [host, [mirror]])) },
    ...{ tls: 'none' as const, images: [image], faults },
    daemon: { config: { 'registry-mirrors': mirrors.map((host) => `http://${host}`) } },
  };
}

async function pulls({ daemon, standin }: RegistryTest): Promise<readonly LedgerEntry[]> {
  await daemon.mustDocker(['pull', `${ORIGIN}/team/app:v`]);
  const id = await daemon.mustDocker(['image', 'inspect', '--format', '{{.Id}}', `${ORIGIN}/team/app:v`]);
  assert.equal(id, standin.images[0]?.id);
  return (await standin.ledger()).entries;
}

const hostsOf = (entries: readonly LedgerEntry[]): string[] => [...new Set(entries.map(({ host }) => host))];
const at = (entries: readonly LedgerEntry[], host: string): readonly LedgerEntry[] =>
  entries.filter((entry) => entry.host === host);

function firstAtMs(entries: readonly LedgerEntry[], host: string): number {
  const [first] = at(entries, host);
  assert.ok(first !== undefined, `${host} was asked`);
  return first.atMs;
}

function isSilence(ms: number): void {
  assert.ok(ms >= SILENCE_LEAST_MS && ms <= SILENCE_MOST_MS, `the next was asked after ${ms} ms`);
}

registryTest(
  'a mirror that says nothing: the next after 2 s, once for the whole pull',
  ground([SILENT]),
  async (given) => {
    const began = Date.now();
    const entries = await pulls(given);
    isSilence(firstAtMs(entries, SECOND) - firstAtMs(entries, FIRST));
    assert.deepEqual(hostsOf(entries), [FIRST, SECOND], 'neither the third one nor the registry itself');
    assert.equal(at(entries, FIRST).length, 1, 'who was silent is not asked again');
    assert.ok(Date.now() - began < SILENCE_LEAST_MS + SILENCE_MOST_MS, 'the silence is waited for once');
  },
);

registryTest(
  'two mirrors that say nothing: 2 s for each',
  ground([SILENT, { ...SILENT, host: SECOND }]),
  async (given) => {
    const entries = await pulls(given);
    isSilence(firstAtMs(entries, SECOND) - firstAtMs(entries, FIRST));
    isSilence(firstAtMs(entries, THIRD) - firstAtMs(entries, SECOND));
    assert.deepEqual(hostsOf(entries), [FIRST, SECOND, THIRD]);
  },
);

registryTest(
  'a mirror that begins to say nothing when it comes to layers',
  ground([{ ...SILENT, path: '/blobs/' }]),
  async (given) => {
    const entries = await pulls(given);
    assert.ok(at(entries, FIRST).some(({ url, status }) => url.includes('/manifests/') && status === 200));
    const waited = at(entries, FIRST).find(({ url }) => url.includes('/blobs/'));
    isSilence(firstAtMs(entries, SECOND) - (waited?.atMs ?? 0));
    assert.deepEqual(hostsOf(entries), [FIRST, SECOND]);
  },
);

registryTest(
  'the first good answer wins: one that comes late is not waited for',
  ground([{ host: FIRST, act: { kind: 'late', ms: 4000 } }]),
  async (given) => {
    const entries = await pulls(given);
    isSilence(firstAtMs(entries, SECOND) - firstAtMs(entries, FIRST));
    const layers = new Set(given.standin.images[0]?.layers.map(({ digest }) => digest));
    const givers = entries.filter(
      ({ url, sentBytes }) => sentBytes > 0 && layers.has(url.replace(/^.*\/blobs\/|\?.*$/g, '')),
    );
    assert.equal(givers.length, 3);
    assert.deepEqual(hostsOf(givers), [SECOND]);
  },
);

registryTest(
  'mirrors that lack it, fail or are away: one after the other at once, the registry itself last',
  ground([
    { host: FIRST, path: '/manifests/', act: { kind: 'status', status: 404 } },
    { host: SECOND, act: { kind: 'status', status: 500 } },
    { host: THIRD, act: { kind: 'close' } },
  ]),
  async (given) => {
    const entries = await pulls(given);
    assert.deepEqual(hostsOf(entries.filter(({ url }) => url.includes('/manifests/'))), [
      FIRST,
      SECOND,
      THIRD,
      ORIGIN,
    ]);
    const lost = firstAtMs(entries, ORIGIN) - firstAtMs(entries, FIRST);
    assert.ok(lost < SILENCE_LEAST_MS, `${lost} ms: nobody was waited for`);
  },
);

const FOREIGN = Buffer.from(JSON.stringify({ schemaVersion: 2, layers: [] }));
const WRONG: Readonly<Record<string, Fault>> = {
  'a layer of other bytes': { path: '/blobs/', act: { kind: 'corrupt', at: 50_000 } },
  'a layer that is shorter': { path: '/blobs/', act: { kind: 'shorter', bytes: 10 } },
  'a layer that ends early': { path: '/blobs/', act: { kind: 'short', bytes: 10 } },
  'a layer with more behind it': { path: '/blobs/', act: { kind: 'long', bytes: 1000 } },
  'another manifest': {
    path: '/manifests/sha256',
    act: { kind: 'body', base64: FOREIGN.toString('base64') },
  },
  'no JSON': { path: '/manifests/', act: { kind: 'body', base64: Buffer.from('<html>').toString('base64') } },
};

for (const [what, fault] of Object.entries(WRONG))
  registryTest(
    `a mirror that gives ${what}: the registry itself has it right`,
    ground([{ ...fault, method: 'GET', host: FIRST }], [FIRST]),
    async (given) => {
      const { daemon, standin } = given;
      const [built] = standin.images;
      const precise = `${ORIGIN}/team/app@${built?.digest}`;
      const { error } = await pull(daemon, precise);
      assert.equal(error, '');
      const { entries } = await standin.ledger();
      assert.ok(at(entries, FIRST).some((entry) => entry.fault === fault.act.kind));
      assert.ok(at(entries, ORIGIN).some(({ url }) => new RegExp(fault.path ?? '').test(url)));
      const id = await daemon.mustDocker(['image', 'inspect', '--format', '{{.Id}}', precise]);
      assert.equal(id, built?.id);
    },
  );

registryTest(
  'nobody has it: what the registry itself says is told',
  ground([{ path: '/manifests/', act: { kind: 'status', status: 404 } }]),
  async ({ daemon, standin }) => {
    const said = { errors: [{ code: 'DENIED', message: 'not for you', detail: {} }] };
    const refusal = { kind: 'status', status: 403, body: JSON.stringify(said) } as const;
    await standin.setFaults([
      {
        host: ORIGIN,
        path: '/manifests/',
        act: { ...refusal, headers: { 'content-type': 'application/json' } },
      },
      { path: '/manifests/', act: { kind: 'status', status: 404 } },
    ]);
    const auth = { username: 'me', password: 'of-origin', serveraddress: ORIGIN };
    const { error } = await pull(daemon, `${ORIGIN}/team/app:v`, { headers: registryAuth(auth) });
    assert.match(error, /denied: not for you$/);
    const ledger = await standin.ledger();
    assert.deepEqual(hostsOf(ledger.entries).toSorted(), [ORIGIN, FIRST, SECOND, THIRD]);
    assertCredentialsStay(ledger, { secrets: ['of-origin'], hosts: [ORIGIN] });
  },
);

registryTest('nothing is pushed to a mirror', ground([]), async (given) => {
  const { daemon, standin } = given;
  await pulls(given);
  await daemon.mustDocker(['tag', `${ORIGIN}/team/app:v`, `${ORIGIN}/team/other:w`]);
  await standin.ledger({ clear: true });
  await daemon.mustDocker(['push', `${ORIGIN}/team/other:w`]);
  assert.deepEqual(hostsOf((await standin.ledger()).entries), [ORIGIN]);
});
