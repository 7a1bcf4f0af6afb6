import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { LIMITS } from '#base/limits.ts';
import type { Lease } from '#storage/lease.ts';
import type { Storage } from '#storage/storage.ts';
import { TAR_BLOCK, tarHead } from '../testing/tar-head.ts';
import { ArchiveReader } from './read-archive.ts';

/** Storage whose layers are unpacked when the test says so. */
function slowStorage(): { readonly storage: Storage; readonly unpacking: PromiseWithResolvers<never>[] } {
  const unpacking: PromiseWithResolvers<never>[] = [];
  const intake = {
    ...{ file: {}, append: async () => undefined, end: () => undefined, fail: () => undefined },
    close: async () => undefined,
  };
  const storage = {
    intakes: { openUnknown: async () => intake },
    snapshotter: {
      layers: () => [],
      unpack: () => {
        const one = Promise.withResolvers<never>();
        unpacking.push(one);
        return one.promise;
      },
    },
  };
  return { storage: storage as unknown as Storage, unpacking };
}

test('the source waits while so many layers are not unpacked yet', async () => {
  const { storage, unpacking } = slowStorage();
  const reader = new ArchiveReader({ storage, lease: {} as Lease });
  async function* source(): AsyncGenerator<Buffer> {
    for (let n = 0; n < LIMITS.archiveLayersBehind + 2; n++) {
      yield tarHead(`layer${n}/layer.tar`, TAR_BLOCK);
      yield tarHead('file', 0);
    }
    yield Buffer.alloc(2 * TAR_BLOCK);
  }
  const reading = reader.read(source());
  const settle = async (): Promise<void> => {
    for (let n = 0; n < 200; n++) await turn();
  };
  await settle();
  assert.equal(unpacking.length, LIMITS.archiveLayersBehind);
  unpacking[0]?.reject(new Error('broken'));
  await settle();
  assert.equal(unpacking.length, LIMITS.archiveLayersBehind + 1);
  unpacking[1]?.reject(new Error('broken'));
  await reading;
  assert.equal(unpacking.length, LIMITS.archiveLayersBehind + 2);
});
