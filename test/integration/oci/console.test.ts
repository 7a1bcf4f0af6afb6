import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, readSync, writeSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { errorCode } from '#base/errors.ts';
import { createKernel } from '#host/real.ts';
import { PLAIN_ENV, until } from '../../support/command.ts';
import { cannotRun, GANTRY_OCI, type World, worldFor } from './world.ts';

const skip = cannotRun();

/** A caller that waits for a terminal at a socket. */
async function consoleSocket(
  t: TestContext,
  path: string,
): Promise<() => Promise<{ fd: number; name: string }>> {
  const connections: Socket[] = [];
  const server = createServer({ pauseOnConnect: true }, (socket) => connections.push(socket));
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.after(() => {
    for (const socket of connections) socket.destroy();
    server.close();
  });
  const kernel = createKernel();
  return async () => {
    const socket = await until(() => connections.shift(), { what: 'a connection' });
    // The only way to the descriptor of a connection that Node must not read from.
    const { _handle: handle } = socket as unknown as { _handle: { fd: number } };
    const { fds, message } = await until(() => kernel.sockets.receiveFds(handle.fd).catch(notYet), {
      what: 'a message',
    });
    socket.destroy();
    const [fd = -1] = fds;
    t.after(() => closeSync(fd));
    return { fd, name: message.toString() };
  };
}

/** Node's sockets do not wait. */
function notYet(error: unknown): undefined {
  if (errorCode(error) !== 'EAGAIN') throw error;
}

async function readUntil(fd: number, wanted: RegExp): Promise<string> {
  let text = '';
  return until(
    () => {
      const buffer = Buffer.alloc(4096);
      try {
        text += buffer.toString('utf8', 0, readSync(fd, buffer));
      } catch (error) {
        if (errorCode(error) !== 'EAGAIN' && errorCode(error) !== 'EIO') throw error;
      }
      return wanted.test(text) ? text : undefined;
    },
    { what: `${wanted} in ${JSON.stringify(text)}` },
  );
}

function shell(world: World): string {
  return world.bundle(
    ['sh', '-c', 'stty size; echo ready; read line; echo "got $line"; readlink /proc/self/fd/0'],
    (spec) => {
      if (spec.process !== undefined)
        spec.process = { ...spec.process, terminal: true, consoleSize: { width: 97, height: 31 } };
    },
  );
}

test('create sends the terminal to the console socket', { skip }, async (t) => {
  const world = worldFor(t);
  const path = join(world.directory, 'console.sock');
  const next = await consoleSocket(t, path);
  const bundle = shell(world);
  const creating = world.must(['create', '--console-socket', path, '-b', bundle, 'one']);
  const { fd, name } = await next();
  assert.equal(name, '/dev/ptmx');
  await creating;
  await world.must(['start', 'one']);
  assert.match(await readUntil(fd, /ready/), /^31 97\r\nready/);
  writeSync(fd, 'hello\n');
  assert.match(await readUntil(fd, /pts/), /got hello\r\n\/dev\/pts\/0/);
  await world.reaches('one', 'stopped');
  await world.must(['delete', 'one']);
});

test('exec sends its terminal to a console socket, too', { skip }, async (t) => {
  const world = worldFor(t);
  await world.must(['run', '-d', '-b', world.bundle(['sleep', '1000']), 'one']);
  const path = join(world.directory, `${'long-'.repeat(30)}console.sock`);
  const short = join(world.directory, 'c.sock');
  const next = await consoleSocket(t, short);
  const running = world.oci([
    'exec',
    '-t',
    '-d',
    '--console-socket',
    short,
    'one',
    'sh',
    '-c',
    'echo here; read x',
  ]);
  const { fd } = await next();
  assert.equal((await running).exit, 0);
  assert.match(await readUntil(fd, /here/), /here/);
  assert.match(
    await world.refused(['exec', '-t', '-d', '--console-socket', path, 'one', 'true'], { exit: 255 }),
    /console/,
  );
  await world.must(['delete', '-f', 'one']);
});

test('a terminal and its socket belong together', { skip }, async (t) => {
  const world = worldFor(t);
  const bundle = shell(world);
  const without =
    'runc create failed: cannot allocate tty if runc will detach without setting console socket';
  assert.equal(await world.refused(['create', '-b', bundle, 'one']), without);
  const plain = world.bundle(['true']);
  assert.match(
    await world.refused(['create', '--console-socket', '/x', '-b', plain, 'one']),
    /cannot use console socket/,
  );
  assert.match(
    await world.refused(['create', '--console-socket', '/none/x', '-b', bundle, 'one']),
    /\/none\/x/,
  );
  assert.equal(await world.must(['list', '-q']), '');
});

test("in the foreground the terminal is shown on the caller's own", { skip }, async (t) => {
  const world = worldFor(t);
  const bundle = shell(world);
  // `script` gives the command a terminal of its own.
  const command = `stty rows 31 cols 97; ${GANTRY_OCI} --root ${world.root} run -b ${bundle} one`;
  // Typed when it is waited for: a terminal echoes at once, wherever its output is.
  const child = spawn('script', ['-qec', command, '/dev/null'], { env: PLAIN_ENV });
  t.after(() => child.kill('SIGKILL'));
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (!output.includes('ready') && (output + text).includes('ready')) child.stdin.write('typed\n');
    output += text;
  });
  const [exit] = (await once(child, 'close')) as [number | null];
  assert.deepEqual([exit, output], [0, '31 97\r\nready\r\ntyped\r\ngot typed\r\n/dev/pts/0\r\n']);
});
