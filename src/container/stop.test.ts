import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { newContainerId } from '#base/ids.ts';
import { createLog } from '#base/log.ts';
import { Ledger } from './record/ledger.ts';
import { RunningStates } from './record/running-state.ts';
import { RecordStore } from './record/store.ts';
import type { ContainerRecord } from './record.ts';
import type { Room } from './room.ts';
import { beginStop } from './stop.ts';

test('a record that cannot be written keeps no signal back, and follows later', async () => {
  const root = mkdtempSync(join(tmpdir(), 'gantry-stop-'));
  const lines: string[] = [];
  const log = createLog({ level: 'info', format: 'json', write: (line) => void lines.push(line) });
  const store = new RecordStore(root, log);
  const ledger = new Ledger({ store, running: new RunningStates(root, log), log });
  const id = newContainerId();
  const record = {
    recordVersion: 1,
    id,
    name: 'kept',
    config: { Image: 'x', Labels: null },
    hostConfig: { RestartPolicy: { Name: 'always', MaximumRetryCount: 0 } },
    state: { status: 'running' },
    manuallyStopped: false,
  } as unknown as ContainerRecord;
  const entry = ledger.add(record);
  const signals: number[] = [];
  const deps = {
    log,
    emit: () => undefined,
    tasks: { signal: async (_id: string, signal: number) => void signals.push(signal) },
  };
  const room = { ledger, deps } as unknown as Room;
  // Its directory is missing: every write fails, as on a full disk.
  const end = await beginStop(room, entry, 15);
  assert.notEqual(end, null);
  assert.deepEqual(signals, [15]);
  assert.equal(entry.stopRequested, true);
  assert.match(lines.join(''), /it is tried again/);
  mkdirSync(store.directoryOf(id), { recursive: true });
  await ledger.flush();
  assert.ok(existsSync(join(store.directoryOf(id), 'record.json')));
  ledger.stop();
  rmSync(root, { recursive: true, force: true });
});
