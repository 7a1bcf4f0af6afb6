import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { silentLog } from '#base/log.ts';
import type { Kernel } from '#host/kernel.ts';
import { createKernel } from '#host/real.ts';
import type { ChainId } from '#oci/chain-id.ts';
import type { Layer, SnapshotterName } from '#storage/snapshotter.ts';
import { openStorage, type Storage } from '#storage/storage.ts';
import { chunks, digest, tar, type Member } from './archive-builder.ts';

export interface Fixture {
  readonly root: string;
  readonly kernel: Kernel;
  storage: Storage;
  /** Closes and opens again, as after a restart; with another boot id as after a reboot. */
  reopen(bootId?: string): Promise<void>;
}

export async function fixture(t: TestContext, name: SnapshotterName = 'overlay2'): Promise<Fixture> {
  const root = mkdtempSync(join(tmpdir(), 'gantry-storage-'));
  const kernel = createKernel();
  const open = (bootId: string): Promise<Storage> =>
    openStorage({ root, kernel, bootId, log: silentLog, snapshotter: name, flushDelayMs: 3_600_000 });
  const result: Fixture = {
    root,
    kernel,
    storage: await open('boot-1'),
    reopen: async (bootId = 'boot-1') => {
      result.storage = await open(bootId);
    },
  };
  t.after(async () => {
    await result.storage.close();
    rmSync(root, { recursive: true, force: true });
  });
  return result;
}

export async function commit(
  storage: Storage,
  members: readonly Member[] | Buffer,
  parent: ChainId | null = null,
): Promise<Layer> {
  const archive = Buffer.isBuffer(members) ? members : tar(members);
  const { digest: blob } = await storage.content.ingest(chunks(archive));
  return storage.snapshotter.commitLayer({ parent, diffId: digest(archive), blob });
}
