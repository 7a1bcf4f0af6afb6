import assert from 'node:assert/strict';
import { e2e } from '../../support/e2e.ts';

e2e('14: removing: a running one is refused, then everything goes', {}, async (daemon) => {
  const id = await daemon.mustDocker(['run', '-d', '--name', 'busy', 'busybox', 'sleep', '600']);
  const refused = await daemon.docker(['rm', 'busy']);
  assert.equal(refused.exit, 1);
  assert.equal(
    refused.stderr,
    `Error response from daemon: cannot remove container "busy": container is running: stop the container before removing or force remove\n`,
  );
  await daemon.mustDocker(['stop', '-t', '0', id]);
  assert.equal(await daemon.mustDocker(['rm', id]), id);

  const ids = [];
  for (let i = 0; i < 3; i++) ids.push(await daemon.mustDocker(['create', 'busybox', 'true']));
  const listed = (await daemon.mustDocker(['ps', '-aq', '--no-trunc'])).split('\n');
  assert.deepEqual(listed.toSorted(), ids.toSorted());
  await daemon.mustDocker(['rm', ...listed]);
  await daemon.mustDocker(['run', '-d', 'busybox', 'sleep', '600']);
  await daemon.mustDocker(['run', '-d', '-p', '127.0.0.1::80', 'busybox', 'sleep', '600']);
  const running = (await daemon.mustDocker(['ps', '-aq'])).split('\n');
  await daemon.mustDocker(['rm', '-f', ...running]);
  assert.equal(await daemon.mustDocker(['ps', '-aq']), '');
});
