import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { e2e } from '../../support/e2e.ts';
import { must } from '../../support/command.ts';

e2e('26: the docker CLI in a container, over the mounted socket', {}, async (daemon) => {
  const cli = (await must('sh', ['-c', 'readlink -f "$(command -v docker)"'])).trim();
  const head = (await readFile(cli)).subarray(0, 4);
  assert.deepEqual([...head], [0x7f, 0x45, 0x4c, 0x46], 'the docker CLI is a program');
  const libraries = ['/lib', '/lib64', '/usr/lib'].flatMap((path) => ['-v', `${path}:${path}:ro`]);
  const mounts = ['-v', `${daemon.root}:/host`, '-v', `${cli}:/usr/bin/docker:ro`, ...libraries];
  const host = ['-e', 'DOCKER_HOST=unix:///host/gantry.sock'];
  await daemon.mustDocker(['run', '-d', '--name', 'portal', ...mounts, ...host, 'busybox', 'sleep', '600']);
  const inside = ['exec', 'portal', '/usr/bin/docker'];
  assert.equal(await daemon.mustDocker([...inside, 'ps', '--format', '{{.Names}}']), 'portal');
  await daemon.restart('SIGKILL');
  assert.equal(await daemon.mustDocker([...inside, 'ps', '--format', '{{.Names}}']), 'portal');
  assert.equal(await daemon.mustDocker([...inside, 'run', '--rm', 'busybox', 'echo', 'nested']), 'nested');
});
