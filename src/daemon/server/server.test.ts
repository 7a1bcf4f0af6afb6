import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { EngineError } from '#base/errors.ts';
import { silentLog } from '#base/log.ts';
import { ApiServer } from './server.ts';

test('who still sends a body that is refused gets to read the refusal', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-server-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const refuse = async (): Promise<void> => {
    throw new EngineError('invalidArgument', 'not like that');
  };
  const api = new ApiServer({ routes: [['POST', '/load', refuse]], log: silentLog, product: 'x' });
  const listener = api.createListener('unix');
  const socket = join(folder, 's');
  await new Promise<void>((resolve) => listener.listen(socket, resolve));
  t.after(() => listener.close());
  const body = Buffer.alloc(4 * 1024 * 1024);
  const client = connect(socket);
  const errors: Error[] = [];
  client.on('error', (error) => errors.push(error));
  client.write(`POST /load HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length * 2}\r\n\r\n`);
  client.write(body);
  let answer = '';
  for await (const chunk of client) answer += String(chunk);
  assert.match(answer, /^HTTP\/1\.1 400 .*not like that/s);
  assert.deepEqual(errors, []);
});
