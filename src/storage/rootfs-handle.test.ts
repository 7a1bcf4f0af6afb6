import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rootfsHandle } from './rootfs-handle.ts';

function closing(opened: Promise<number>) {
  const closed: number[] = [];
  const close = async (fd: number): Promise<void> => void closed.push(fd);
  return { handle: rootfsHandle(opened, { isUntouched: true, close }), closed };
}

test('what is open is closed once, and who closes it waits for that', async () => {
  const { handle, closed } = closing(Promise.resolve(7));
  assert.equal(await handle.fd, 7);
  await Promise.all([handle.close(), handle.close()]);
  assert.deepEqual(closed, [7]);
});

test('what is still on its way is closed when it comes, and nobody waits for it', async () => {
  const opening = Promise.withResolvers<number>();
  const { handle, closed } = closing(opening.promise);
  await handle.close();
  assert.deepEqual(closed, []);
  opening.resolve(8);
  await handle.fd;
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(closed, [8]);
});

test('what could not be opened needs no end, and who does not ask is not told', async () => {
  const { handle, closed } = closing(Promise.reject(new Error('no such device')));
  await handle.close();
  await assert.rejects(handle.fd, /no such device/);
  assert.deepEqual(closed, []);
});
