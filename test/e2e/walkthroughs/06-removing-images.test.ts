import assert from 'node:assert/strict';
import { e2e } from '../../support/e2e.ts';
import { imageArchive } from '../../support/images.ts';

e2e('06: images that containers use', { images: ['busybox', 'hello', 'web'] }, async (daemon) => {
  await daemon.mustDocker(['tag', 'gantry/web', 'db:5.7']);
  await daemon.mustDocker(['rmi', 'gantry/web']);
  const stopped = await daemon.mustDocker(['create', 'db:5.7']);
  const refused = await daemon.docker(['rmi', 'db:5.7']);
  assert.equal(refused.exit, 1);
  assert.equal(
    refused.stderr,
    `Error response from daemon: conflict: unable to remove repository reference "db:5.7" (must force) - container ${stopped.slice(0, 12)} is using its referenced image ${(await daemon.mustDocker(['images', '-q', 'db:5.7'])).trim()}\n`,
  );
  const ids = (await daemon.mustDocker(['images', '-q', 'gantry/hello', '--no-trunc'])).split('\n');
  const db = await daemon.mustDocker(['images', '-q', '--no-trunc', 'db:5.7']);
  await daemon.mustDocker(['rmi', '-f', db, ...ids]);
  for (const name of ['db', 'gantry/hello'])
    assert.equal(await daemon.mustDocker(['images', '-q', name]), '', `${name} is gone`);
  for (const id of [db, ...ids]) assert.notEqual((await daemon.docker(['image', 'inspect', id])).exit, 0, id);
  await daemon.loadImage(await imageArchive('hello'));
  await daemon.loadImage(await imageArchive('web'));
  const running = await daemon.mustDocker(['run', '-d', 'busybox', 'sleep', '600']);
  const all = (await daemon.mustDocker(['images', '-aq'])).split('\n');
  assert.equal(all.length, 3);
  const rest = await daemon.docker(['rmi', '-f', ...all]);
  assert.equal(rest.exit, 1);
  assert.match(
    rest.stderr,
    /conflict: unable to delete [0-9a-f]{12} \(cannot be forced\) - image is being used by running container/,
  );
  const used = await daemon.mustDocker(['inspect', '--format', '{{.Image}}', running]);
  const left = await daemon.mustDocker(['images', '-aq', '--no-trunc']);
  assert.equal(left, used, 'the image of a running container stays, the rest goes');
});
