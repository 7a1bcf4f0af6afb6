import assert from 'node:assert/strict';
import { e2e } from '../../support/e2e.ts';

e2e('29: a stopped daemon is said so; after its restart everything is there again', {}, async (daemon) => {
  const id = await daemon.mustDocker([
    'run',
    '-d',
    '--name',
    'keeps',
    'busybox',
    'sh',
    '-c',
    'echo here; sleep 600',
  ]);
  await daemon.mustDocker(['create', '--name', 'made', 'busybox', 'true']);
  const pid = await daemon.mustDocker(['inspect', '-f', '{{.State.Pid}}', id]);
  await daemon.kill('SIGTERM');
  const refused = await daemon.docker(['run', 'busybox', 'true']);
  assert.equal(refused.exit, 125);
  assert.match(
    refused.stderr,
    /Cannot connect to the Docker daemon at unix:\/\/.*Is the docker daemon running\?/,
  );
  await daemon.start();
  assert.equal(
    await daemon.mustDocker(['inspect', '-f', '{{.State.Pid}} {{.State.Running}}', id]),
    `${pid} true`,
  );
  assert.equal(await daemon.mustDocker(['logs', id]), 'here');
  assert.equal(await daemon.mustDocker(['exec', id, 'echo', 'alive']), 'alive');
  const names = (await daemon.mustDocker(['ps', '-a', '--format', '{{.Names}}'])).split('\n');
  assert.deepEqual(names.toSorted(), ['keeps', 'made']);
  assert.match(await daemon.mustDocker(['images', '--format', '{{.Repository}}']), /busybox/);
});
