import assert from 'node:assert/strict';
import { mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { errorMessage } from '#base/errors.ts';
import { newContainerId, type ContainerId } from '#base/ids.ts';
import { silentLog } from '#base/log.ts';
import type { ContainerRecord } from '../record.ts';
import { generateName } from './generated-name.ts';
import { checkName, NameIndex } from './names.ts';
import { Ledger } from './ledger.ts';
import { RunningStates } from './running-state.ts';
import { RecordStore } from './store.ts';
import { fixedTime, parseTimeNanos } from './time.ts';

async function withDirectory(task: (path: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'record-'));
  try {
    await task(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}

const ENDED = {
  status: 'exited',
  pid: 0,
  exitCode: 7,
  oomKilled: false,
  error: '',
  startedAt: '',
  finishedAt: '',
} as const;

/** As a create does it. */
async function create(store: RecordStore, record: ContainerRecord, isAnnounced = false): Promise<void> {
  await store.stage(record, isAnnounced);
  await store.publish(record.id, isAnnounced);
}

const recordOf = (id: ContainerId): ContainerRecord =>
  ({ recordVersion: 1, id, name: 'n' }) as unknown as ContainerRecord;

test('what was created is loaded, what was buried is a tombstone, what was staged is gone', async () => {
  await withDirectory(async (root) => {
    const store = new RecordStore(root, silentLog);
    await store.load();
    const [kept, gone] = [newContainerId(), newContainerId()];
    await create(store, recordOf(kept));
    await create(store, recordOf(gone));
    await store.bury(gone, { flushed: true, volumes: false });
    await writeFile(join(root, 'containers', '.staged-x'), '');
    const loaded = await store.load();
    assert.deepEqual(
      loaded.records.map((record) => record.id),
      [kept],
    );
    assert.deepEqual(loaded.tombstones, [gone]);
    await store.erase(gone);
    assert.deepEqual(await readdir(join(root, 'containers')), [kept]);
  });
});

test('a tombstone remembers that anonymous volumes go, too', async () => {
  await withDirectory(async (root) => {
    const store = new RecordStore(root, silentLog);
    await store.load();
    const [plain, whole] = [newContainerId(), newContainerId()];
    for (const id of [plain, whole]) {
      await create(store, recordOf(id));
      await store.bury(id, { flushed: false, volumes: id === whole });
    }
    const loaded = await store.load();
    assert.deepEqual([...loaded.tombstones].sort(), [plain, whole].sort());
    assert.deepEqual(loaded.unreleased, [recordOf(whole)]);
    for (const id of loaded.tombstones) await store.erase(id);
    assert.deepEqual(await readdir(join(root, 'containers')), []);
  });
});

test('volumes of a create that never ended are known at the next start', async () => {
  await withDirectory(async (root) => {
    const store = new RecordStore(root, silentLog);
    await store.load();
    const [whole, half] = [newContainerId(), newContainerId()];
    const mounts = [{ type: 'volume', name: 'v', anonymous: true }] as unknown as ContainerRecord['mounts'];
    for (const id of [whole, half]) await store.announce(id, mounts);
    await create(store, recordOf(whole), true);
    assert.deepEqual(await readdir(join(root, 'containers', whole)), ['record.json']);
    const loaded = await store.load();
    assert.deepEqual(loaded.records, [recordOf(whole)]);
    assert.deepEqual(
      loaded.unreleased.map(({ id, mounts: own }) => [id, own]),
      [[half, mounts]],
    );
    for (const id of loaded.tombstones) await store.erase(id);
    assert.deepEqual(await readdir(join(root, 'containers')), [whole]);
  });
});

test('a damaged record costs only its own container', async () => {
  await withDirectory(async (root) => {
    const store = new RecordStore(root, silentLog);
    await store.load();
    const [good, bad] = [newContainerId(), newContainerId()];
    await create(store, recordOf(good));
    await create(store, recordOf(bad));
    await writeFile(join(store.directoryOf(bad), 'record.json'), '');
    const loaded = await store.load();
    assert.deepEqual(
      loaded.records.map((record) => record.id),
      [good],
    );
    assert.deepEqual(
      loaded.quarantined.map((item) => item.id),
      [bad],
    );
    assert.equal((await readdir(join(root, 'quarantine', 'containers'))).length, 1);
  });
});

test('running state: a removal that waited loses against a start', async () => {
  await withDirectory(async (root) => {
    const states = new RunningStates(root, silentLog);
    await states.prepare();
    const id = newContainerId();
    const state = {
      phase: 'starting',
      bootId: 'b',
      state: recordOf(id).state,
      sandbox: null,
      stopRequested: false,
    } as const;
    await states.write(id, state);
    await states.remove(id, () => true);
    assert.equal((await states.load()).get(id)?.phase, 'starting');
    await states.remove(id);
    assert.equal((await states.load()).size, 0);
  });
});

test('an end that comes while an older state is being written keeps its running state', async () => {
  await withDirectory(async (root) => {
    const id = newContainerId();
    const store = new RecordStore(root, silentLog);
    await store.load();
    const running = new RunningStates(join(root, 'run'), silentLog);
    await running.prepare();
    const ledger = new Ledger({ store, running, log: silentLog });
    const record = { ...recordOf(id), state: { ...ENDED, status: 'running' } } as ContainerRecord;
    await create(store, record);
    const entry = ledger.add(record);
    await ledger.writeRunning(entry, 'running', 'b');
    const old = ledger.commit(entry);
    await Promise.resolve();
    await Promise.resolve();
    ledger.setState(entry, ENDED);
    await ledger.writeRunning(entry, 'ended', 'b');
    await old;
    assert.equal((await running.load()).get(id)?.phase, 'ended');
    await ledger.commit(entry);
    assert.equal((await running.load()).size, 0);
    assert.equal((await store.load()).records[0]?.state.exitCode, 7);
  });
});

test('a change that waits for the disk is not forgotten by a write that fails', async () => {
  await withDirectory(async (root) => {
    const id = newContainerId();
    const store = new RecordStore(root, silentLog);
    await store.load();
    const ledger = new Ledger({ store, running: new RunningStates(root, silentLog), log: silentLog });
    const record = { ...recordOf(id), state: { ...ENDED, exitCode: 0 } } as ContainerRecord;
    await create(store, record);
    const entry = ledger.add(record);
    ledger.setState(entry, ENDED);
    ledger.commitSoon(entry);
    const place = store.directoryOf(id);
    await rename(place, `${place}.away`);
    await assert.rejects(ledger.commit(entry));
    await rename(`${place}.away`, place);
    await ledger.flush();
    ledger.stop();
    assert.equal((await store.load()).records[0]?.state.exitCode, 7);
  });
});

test('containers are found by id, name and unique prefix', () => {
  const index = new NameIndex();
  const [one, two] = [`a1${'0'.repeat(62)}`, `a2${'0'.repeat(62)}`] as ContainerId[];
  for (const [id, name] of [
    [one, 'first'],
    [two, 'a1'],
  ] as const) {
    assert.ok(id !== undefined);
    index.reserve(name, id);
    index.addId(id);
  }
  assert.equal(index.find('first'), one);
  assert.equal(index.find('/first'), one);
  assert.equal(index.find('a1'), two, 'a name goes before a prefix');
  assert.equal(index.find('a10'), one);
  const refused = (reference: string): string => {
    try {
      return index.find(reference);
    } catch (error) {
      return errorMessage(error);
    }
  };
  assert.equal(refused('a'), 'multiple IDs found with provided prefix: a');
  assert.equal(refused('nope'), 'No such container: nope');
  assert.throws(
    () => index.reserve('first', two as ContainerId),
    /The container name "\/first" is already in use by container "a10/,
  );
});

test("names are checked with the reference's text", () => {
  assert.equal(checkName('/ok-1'), 'ok-1');
  for (const name of ['a', 'a b', 'a/b', '-x', ''])
    assert.throws(() => checkName(name), /Invalid container name/);
});

test('generated names are an adjective and a surname, with digits only when crowded', () => {
  assert.match(
    generateName(() => false),
    /^[a-z]+_[a-z]+$/,
  );
  let asked = 0;
  assert.match(
    generateName(() => ++asked < 20),
    /^[a-z]+_[a-z]+\d+$/,
  );
});

test('times compare by nanoseconds and print with nine digits', () => {
  assert.ok(
    (parseTimeNanos('2024-01-01T00:00:00.5Z') ?? 0n) < (parseTimeNanos('2024-01-01T00:00:00.55Z') ?? 0n),
  );
  assert.equal(parseTimeNanos('yesterday'), null);
  assert.equal(fixedTime('2024-01-01T00:00:00Z'), '2024-01-01T00:00:00.000000000Z');
});
