import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startDaemon, type TestDaemon } from '../../support/daemon.ts';
import { dockerIsMissing } from '../../support/e2e.ts';
import { pull, push } from '../../support/registry/fixture.ts';
import { type RealKind, registryIsMissing, startRegistry } from '../../support/registry/real.ts';
import type { WireAct, WireEntry, WireFault } from '../../support/registry/wire-plan.ts';
import { type RegistryWire, startWire } from '../../support/registry/wire.ts';
import { knownImage, type KnownImage, load, problemOf, remove } from '../../torture/known-image.ts';

/*
 * Pushes over a wire that breaks, to the real registries: they go on at the offset that the registry tells,
 * or begin that blob anew where it has none, or end with a clear error. What was sent twice is counted.
 * docker-registry refuses an upload whose address is from before the break ("resumed at wrong offset"), and
 * gives no newer one: there a blob begins anew.
 */

const PORTS = { listen: 5000, upstream: 5001 };
const HOST = `127.0.0.1:${PORTS.listen}`;
/** Of the image's data; the shared layer below is smaller. */
const FILES = 8;
const FILE_BYTES = 500_000;
const DATA_BYTES = FILES * FILE_BYTES;
/** The layer below has fewer. */
const LARGE_BYTES = 1_200_000;
/** What a registry may not have written yet when a connection breaks, for each break. */
const TAIL_BYTES = 1 << 20;

interface Case {
  readonly name: string;
  readonly faults: readonly (Omit<WireFault, 'path'> & { readonly path?: string })[];
  /** How often bytes may be sent twice: `tail` the last ones before each break, `all` the blob once more. */
  readonly again: 'tail' | 'all';
  readonly breaks?: number;
  readonly error?: RegExp;
  readonly withinMs?: number;
}

const once = (method: string, act: WireAct, more: Partial<WireFault> = {}): Case['faults'] => [
  { method, times: 1, act, ...more },
];
const cut = (bytes: number): WireAct => ({ kind: 'cut', bytes });
const PIECES: Case['faults'][number] = {
  ...{ method: 'POST', path: '/blobs/uploads/' },
  act: { kind: 'headers', headers: { 'oci-chunk-min-length': '1000000' } },
};

const CASES: readonly Case[] = [
  { name: 'cut', faults: once('PUT', cut(2_500_000)), again: 'tail' },
  {
    ...{ name: 'cut-thrice', again: 'tail', breaks: 3 },
    faults: [...once('PUT', cut(1_500_000)), ...once('PATCH', cut(800_000), { times: 2 })],
  },
  { name: 'cut-in-a-piece', again: 'tail', faults: [PIECES, ...once('PATCH', cut(2_000_000))] },
  {
    ...{ name: 'refused-piece', again: 'tail' },
    faults: [
      ...once('PUT', cut(2_000_000)),
      ...once('PATCH', { kind: 'status', status: 503, headers: { 'retry-after': '1' } }, { times: 2 }),
    ],
  },
  {
    ...{ name: 'offset-refused', again: 'tail' },
    faults: [
      ...once('PUT', cut(2_000_000)),
      { method: 'GET', path: '/blobs/uploads/', times: 1, act: { kind: 'status', status: 502 } },
    ],
  },
  {
    name: 'stalled',
    breaks: 2,
    faults: once('PUT', { kind: 'stall', bytes: 2_500_000 }),
    again: 'tail',
    withinMs: 100_000,
  },
  { name: 'forgotten', faults: once('PUT', { kind: 'cut-and-forget', bytes: 2_500_000 }), again: 'all' },
  { name: 'answer-lost', faults: once('PUT', { kind: 'lose-answer' }), again: 'tail' },
  {
    ...{ name: 'never', again: 'all', error: /503 Service Unavailable/ },
    faults: [{ method: 'PUT', act: { kind: 'status', status: 503 } }],
  },
];

interface Ground {
  readonly daemon: TestDaemon;
  readonly wire: RegistryWire;
  readonly kind: RealKind;
}

async function prepare({ daemon }: Ground, one: Case): Promise<KnownImage> {
  const image = knownImage(`faulty/${one.name}:v`, FILES, FILE_BYTES);
  assert.equal(await load(daemon, image), true);
  const repo = encodeURIComponent(`${HOST}/faulty/${one.name}`);
  await daemon.api(`/images/${image.reference}/tag?repo=${repo}&tag=v`, { method: 'POST' });
  await remove(daemon, image.reference);
  return image;
}

/** Faults strike uploads of large bodies to the case's repository only. */
function faultsOf(one: Case): WireFault[] {
  return one.faults.map((fault) => ({
    minBytes: fault.path === undefined ? LARGE_BYTES : 0,
    ...fault,
    path: `/v2/faulty/${one.name}${fault.path ?? '/blobs/uploads/'}`,
  }));
}

/** Of all uploads that the data was sent in, whole or in part. */
function sentOfData(uploads: readonly WireEntry[]): number {
  const sessionOf = ({ url }: WireEntry): string => url.replace(/\?.*$/, '');
  const sessions = new Set(uploads.filter(({ bodyBytes }) => bodyBytes >= LARGE_BYTES).map(sessionOf));
  return uploads
    .filter((entry) => sessions.has(sessionOf(entry)))
    .reduce((sum, { sentBytes }) => sum + sentBytes, 0);
}

async function meets({ daemon, wire, kind }: Ground, one: Case, image: KnownImage): Promise<void> {
  const target = `${HOST}/faulty/${one.name}:v`;
  const began = Date.now();
  const answer = await push(daemon, target, { timeoutMs: 120_000 });
  const tookMs = Date.now() - began;
  const mine = (await wire.ledger()).filter(({ url }) => url.startsWith(`/v2/faulty/${one.name}/`));
  const uploads = mine.filter(({ method }) => method === 'PUT' || method === 'PATCH');
  const told = `${one.name}: ${answer.error} after ${tookMs} ms\n${uploads
    .map(
      (entry) =>
        `${entry.method} ${entry.contentRange} ${entry.sentBytes}/${entry.bodyBytes} ${entry.status} ${entry.fault}`,
    )
    .join('\n')}`;
  assert.ok(tookMs < (one.withinMs ?? 60_000), told);
  if (one.error !== undefined) {
    assert.match(answer.error, one.error, told);
    return;
  }
  assert.equal(answer.error, '', told);
  assert.ok(
    mine.some(({ fault }) => fault !== '' && fault !== 'headers'),
    `${told}: no fault`,
  );
  const again = sentOfData(uploads) - DATA_BYTES;
  const { breaks = 1 } = one;
  const isAll = kind === 'docker-registry' || one.again === 'all';
  const limit = (isAll ? DATA_BYTES : TAIL_BYTES) * breaks;
  assert.ok(
    again <= limit,
    `${told}: ${again} bytes more than the data were sent, at most ${limit} are expected`,
  );
  await remove(daemon, target);
  assert.equal((await pull(daemon, target)).error, '', told);
  assert.equal(await problemOf(daemon, target, image.hash), null, told);
}

async function pushesOver(kind: RealKind): Promise<void> {
  await using daemon = await startDaemon({ config: { 'max-concurrent-uploads': 50 } });
  const enter = ['nsenter', `--net=/run/netns/${daemon.network}`, '--'];
  await using registry = await startRegistry({ kind, address: `127.0.0.1:${PORTS.upstream}`, enter });
  assert.notEqual(registry.pid, 0);
  await using wire = await startWire(daemon, { ...PORTS, bytesPerSecond: 0 });
  const ground = { daemon, wire, kind };
  const images = new Map<Case, KnownImage>();
  for (const one of CASES) images.set(one, await prepare(ground, one));
  await wire.setFaults(CASES.flatMap(faultsOf));
  const results = await Promise.allSettled(
    CASES.map((one) => meets(ground, one, images.get(one) as KnownImage)),
  );
  assert.deepEqual(
    results.flatMap((result) => (result.status === 'rejected' ? [String(result.reason)] : [])),
    [],
  );
  // What could not be pushed can be, once the way is free.
  await wire.setFaults([]);
  assert.equal((await push(daemon, `${HOST}/faulty/never:v`)).error, '');
}

for (const kind of ['gantry', 'docker-registry'] as const) {
  test(`pushes to ${kind} over a wire that breaks`, { timeout: 240_000 }, async (context) => {
    const reason = (await dockerIsMissing()) || registryIsMissing(kind);
    if (reason !== false) return context.skip(reason);
    await pushesOver(kind);
  });
}
