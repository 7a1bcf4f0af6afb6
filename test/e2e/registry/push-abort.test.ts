import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import type { TestDaemon } from '../../support/daemon.ts';
import { e2e } from '../../support/e2e.ts';

/** A registry that takes a blob and never says that it has it; it tells what happens, a line each. */
const SERVER = `
require('node:http').createServer((request, response) => {
  const { method, url } = request;
  if (url === '/v2/') return response.end('{}');
  if (method === 'HEAD') return response.writeHead(404).end();
  if (method === 'POST') return response.writeHead(202, { location: url + 'session' }).end();
  if (method !== 'PUT') return response.writeHead(404).end();
  request.resume();
  request.socket.once('close', () => console.log('closed'));
  console.log('upload');
}).listen(5000, '127.0.0.1', () => console.log('ready'));
`;

interface Silent extends AsyncDisposable {
  next(): Promise<string>;
}

async function startSilent(daemon: TestDaemon): Promise<Silent> {
  const command = [`--net=/run/netns/${daemon.network}`, '--', process.execPath, '-e', SERVER];
  const child: ChildProcess = spawn('nsenter', command, { stdio: ['ignore', 'pipe', 'inherit'] });
  assert.ok(child.stdout !== null);
  const lines: Interface = createInterface(child.stdout);
  const iterator = lines[Symbol.asyncIterator]();
  const next = async (): Promise<string> => {
    const step = await iterator.next();
    return step.done === true ? 'ended' : step.value;
  };
  assert.equal(await next(), 'ready');
  return {
    next,
    [Symbol.asyncDispose]: async () => {
      const closed = once(child, 'close');
      child.kill('SIGKILL');
      await closed;
    },
  };
}

e2e('a push ends when its client leaves', { timeoutMs: 40_000 }, async (daemon) => {
  await using registry = await startSilent(daemon);
  const target = '127.0.0.1:5000/team/left:v';
  await daemon.mustDocker(['tag', 'busybox', target]);
  const client = spawn('docker', ['push', target], {
    env: { ...process.env, ...daemon.clientEnv() },
    stdio: 'ignore',
  });
  assert.equal(await registry.next(), 'upload');
  client.kill('SIGKILL');
  await once(client, 'close');
  assert.equal(await registry.next(), 'closed');
  // Nothing holds the image any more, nor what was made for the push.
  const id = await daemon.mustDocker(['image', 'inspect', '-f', '{{.Id}}', target]);
  assert.match(await daemon.mustDocker(['rmi', '-f', id]), /Deleted: sha256:/);
  const blobs = await daemon.besideDaemon(['ls', `${daemon.dataRoot}/content/blobs/sha256`]);
  assert.equal(blobs.stdout, '');
});
