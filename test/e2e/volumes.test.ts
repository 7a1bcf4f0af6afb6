import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { e2e } from '../support/e2e.ts';

e2e('volumes: kept between containers, and what their options say', {}, async (daemon) => {
  const run = (...args: string[]): Promise<string> => daemon.mustDocker(['run', '--rm', ...args]);
  await daemon.mustDocker(['volume', 'create', 'kept']);
  await run('-v', 'kept:/data', 'busybox', 'sh', '-c', 'echo here > /data/file');
  assert.equal(await run('-v', 'kept:/other', 'busybox', 'cat', '/other/file'), 'here');

  const small = ['-o', 'type=tmpfs', '-o', 'device=tmpfs', '-o', 'o=size=1m'];
  await daemon.mustDocker(['volume', 'create', ...small, 'small']);
  const mounted = await run('-v', 'small:/m', 'busybox', 'grep', ' /m ', '/proc/mounts');
  assert.match(mounted, /^tmpfs \/m tmpfs .*size=1024k/);

  const folder = `${daemon.root}/folder`;
  await mkdir(folder);
  await writeFile(`${folder}/file`, 'of the host');
  await daemon.mustDocker([
    'volume',
    'create',
    '-o',
    'type=none',
    '-o',
    'o=bind',
    '-o',
    `device=${folder}`,
    'host',
  ]);
  assert.equal(await run('-v', 'host:/m', 'busybox', 'cat', '/m/file'), 'of the host');
  await daemon.mustDocker(['volume', 'rm', 'kept', 'small', 'host']);
});

e2e('volumes: what cannot be mounted yet is refused, not ignored', {}, async (daemon) => {
  await daemon.mustDocker([
    'volume',
    'create',
    '-o',
    'type=nfs',
    '-o',
    'device=:/x',
    '-o',
    'o=addr=127.0.0.1',
    'far',
  ]);
  const remote = await daemon.docker(['run', '--rm', '-v', 'far:/m', 'busybox', 'true']);
  assert.equal(remote.exit, 125);
  assert.match(remote.stderr, /does not mount type "nfs" yet/);
  await daemon.mustDocker(['volume', 'create', 'whole']);
  const mount = ['--mount', 'type=volume,src=whole,dst=/m,volume-subpath=sub'];
  const part = await daemon.docker(['run', '--rm', ...mount, 'busybox', 'true']);
  assert.equal(part.exit, 125);
  assert.match(part.stderr, /a part of a volume cannot be mounted yet/);
  await daemon.mustDocker(['volume', 'rm', 'far', 'whole']);
});
