import assert from 'node:assert/strict';
import { closeSync, fstatSync } from 'node:fs';
import { once } from 'node:events';
import { test } from 'node:test';
import { createKernel } from '#host/real.ts';
import { ShimSource, type ShimSourceOptions } from './spare.ts';

const REAL = createKernel();

interface Births {
  readonly source: ShimSource;
  readonly born: PromiseWithResolvers<void>[];
  readonly pairs: number[];
  /** From now on there are no more descriptors. */
  fail: boolean;
}

/** Shims that are nothing but their sockets. */
function births(spares: number): Births {
  const self = { born: [] as PromiseWithResolvers<void>[], pairs: [] as number[], fail: false };
  const sockets = {
    pair: (): readonly [number, number] => {
      if (self.fail) throw new Error('EMFILE');
      const pair = REAL.sockets.pair();
      self.pairs.push(...pair);
      return pair;
    },
  };
  const spawn = async (): Promise<{ pid: number }> => {
    const one = Promise.withResolvers<void>();
    self.born.push(one);
    await one.promise;
    return { pid: 1 };
  };
  const cgroups = { exists: () => true, create: () => undefined };
  const kernel = { processes: { spawn }, sockets, cgroups } as unknown as ShimSourceOptions['kernel'];
  const source = new ShimSource({ kernel, program: { path: '/shim' }, cgroup: '/shims', spares });
  return Object.assign(self, { source });
}

const isOpen = (fd: number): boolean => {
  try {
    fstatSync(fd);
    return true;
  } catch {
    return false;
  }
};

test('one that cannot be made is told, and tried again', () => {
  const at = births(1);
  at.fail = true;
  assert.throws(() => at.source.prepare(), /EMFILE/);
  assert.throws(() => at.source.take(), /EMFILE/);
  at.fail = false;
  at.source.prepare();
  assert.equal(at.born.length, 1);
  at.source.prepare();
  assert.equal(at.born.length, 1, 'one is enough');
  const taken = at.source.take();
  assert.equal(at.born.length, 1, 'it is the one that was kept');
  taken.socket.destroy();
  closeSync(taken.gifts);
  at.source.close();
});

test('without descriptors for its gifts it leaves none behind', () => {
  const at = births(1);
  const pair = REAL.sockets.pair();
  let calls = 0;
  const half = {
    pair: (): readonly [number, number] => {
      if (++calls === 2) throw new Error('EMFILE');
      return pair;
    },
  };
  const cgroups = { exists: () => true, create: () => undefined };
  const kernel = { sockets: half, cgroups, processes: {} } as unknown as ShimSourceOptions['kernel'];
  const source = new ShimSource({ kernel, program: { path: '/shim' }, cgroup: '/shims', spares: 1 });
  assert.throws(() => source.prepare(), /EMFILE/);
  assert.deepEqual(pair.map(isOpen), [false, false]);
  at.source.close();
});

test('one that dies before anybody takes it is forgotten, with its descriptors', async () => {
  const at = births(1);
  at.source.prepare();
  const [, theirs = -1, gifts = -1] = at.pairs;
  at.born[0]?.reject(new Error('it could not be executed'));
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(isOpen(gifts), false);
  assert.equal(isOpen(theirs), false);
  const next = at.source.take();
  assert.equal(at.born.length, 2, 'a new one is born');
  const closed = once(next.socket, 'close');
  at.born[1]?.resolve();
  await next.born;
  next.socket.destroy();
  await closed;
  closeSync(next.gifts);
  at.source.close();
});

test('after the end none is kept', () => {
  const at = births(2);
  at.source.prepare();
  assert.equal(at.born.length, 2);
  const gifts = [at.pairs[2] ?? -1, at.pairs[6] ?? -1];
  at.source.close();
  assert.deepEqual(gifts.map(isOpen), [false, false]);
  at.source.prepare();
  assert.equal(at.born.length, 2);
});
