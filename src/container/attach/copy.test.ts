import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Readable, Writable } from 'node:stream';
import { test } from 'node:test';
import type { AttachStream } from '#runtime/task.ts';
import { copyStreams } from './copy.ts';

test('input that is taken slowly leaves no listeners behind', async () => {
  let most = 0;
  const input = new Writable({
    highWaterMark: 1,
    write: (_chunk, _encoding, done) => {
      most = Math.max(most, input.listenerCount('close'));
      setImmediate(done);
    },
  });
  const output = new Readable({ objectMode: true, read: () => undefined });
  const stream: AttachStream = { input, output, detach: () => undefined };
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (let i = 0; i < 30; i++) yield Buffer.from('xx');
  }
  const gone = new AbortController();
  const client = { input: chunks(), write: async () => undefined, signal: gone.signal };
  const copied = copyStreams(stream, client, null);
  await once(input, 'finish');
  output.push(null);
  assert.equal(await copied, 'ended');
  assert.ok(most <= 2, `${most} listeners`);
});
