import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { EngineError } from '#base/errors.ts';
import { ProgressStream, Reply } from './reply.ts';

interface Line {
  readonly id?: string;
  readonly status?: string;
  readonly error?: string;
  readonly current?: number;
}

interface Answer {
  readonly status: number | undefined;
  readonly lines: readonly Line[];
}

/** What a client gets that reads nothing before everything was sent. */
async function answered(send: (progress: ProgressStream) => void): Promise<Answer> {
  const server = createServer((_request, response) => send(new ProgressStream(new Reply(response))));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const [response] = (await once(get({ port, host: '127.0.0.1' }), 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response) text += String(chunk);
  server.close();
  const lines = text.split('\r\n').filter((line) => line !== '');
  return { status: response.statusCode, lines: lines.map((line) => JSON.parse(line) as Line) };
}

test('a client that falls behind gets the newest line of each thing, and all that are about nothing', async () => {
  const sent = 200_000;
  const { lines } = await answered((progress) => {
    progress.send({ status: 'Pulling', id: 'v' });
    for (let current = 0; current < sent; current++) {
      progress.send({ status: 'Downloading', id: `layer ${current % 3}`, current });
      if (current % 50_000 === 0) progress.send({ status: `note ${current}` });
    }
    for (const id of ['layer 0', 'layer 1', 'layer 2']) progress.send({ status: 'Pull complete', id });
    progress.send({ status: 'Status: done' });
    progress.end();
  });
  assert.ok(lines.length < 10_000, `${lines.length} lines`);
  assert.deepEqual(lines[0], { status: 'Pulling', id: 'v' });
  assert.deepEqual(
    lines.slice(-4).map(({ status }) => status),
    ['Pull complete', 'Pull complete', 'Pull complete', 'Status: done'],
  );
  const notes = lines.flatMap(({ status = '' }) => (status.startsWith('note') ? [status] : []));
  assert.deepEqual(notes, ['note 0', 'note 50000', 'note 100000', 'note 150000']);
});

test('the error is the last line of a stream that has begun', async () => {
  const { status, lines } = await answered((progress) => {
    for (let i = 0; i < 10_000; i++) progress.send({ status: 'Downloading', id: 'layer', current: i });
    progress.fail(new EngineError('notFound', 'it is gone'));
  });
  assert.equal(status, 200);
  assert.deepEqual(lines.at(-1), { errorDetail: { message: 'it is gone' }, error: 'it is gone' });
});

test('what to do stands beside the message, where clients that know nothing of it see no difference', async () => {
  const error = new EngineError('notFound', 'it is gone', { hint: 'Pull it again.' });
  const { lines } = await answered((progress) => {
    progress.send({ status: 'Pulling' });
    progress.fail(error);
  });
  const errorDetail = { message: 'it is gone', hint: 'Pull it again.' };
  assert.deepEqual(lines.at(-1), { errorDetail, error: 'it is gone' });
});
