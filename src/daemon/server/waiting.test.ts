import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { silentLog } from '#base/log.ts';
import type { Route } from './call.ts';
import { ApiServer } from './server.ts';

test('who connects before the state is restored waits, and gets the whole truth', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-waiting-'));
  const routes = Promise.withResolvers<readonly Route[]>();
  const server = new ApiServer({ routes: routes.promise, log: silentLog, product: 'test' });
  const listener = server.createListener('unix');
  const socketPath = join(folder, 's');
  await new Promise<void>((resolve) => listener.listen(socketPath, resolve));
  try {
    const answers: number[] = [];
    const asked = Array.from(
      { length: 3 },
      () =>
        new Promise<void>((resolve, reject) => {
          const outgoing = request({ socketPath, path: '/_ping', agent: false }, (response) => {
            answers.push(response.statusCode ?? 0);
            response.resume().once('end', resolve);
          });
          outgoing.once('error', reject).end();
        }),
    );
    // A request that needs no route is answered after the others arrived: no guess about time.
    await new Promise<void>((resolve) => {
      request({ socketPath, path: '/v1.10/x', agent: false }, (response) =>
        response.resume().once('end', resolve),
      ).end();
    });
    assert.deepEqual(answers, []);
    routes.resolve([['GET', '/_ping', async ({ reply }) => reply.text(200, 'OK')]]);
    await Promise.all(asked);
    assert.deepEqual(answers, [200, 200, 200]);
  } finally {
    await new Promise((resolve) => listener.close(resolve));
    await rm(folder, { recursive: true });
  }
});
