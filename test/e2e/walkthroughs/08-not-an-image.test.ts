import assert from 'node:assert/strict';
import { e2e } from '../../support/e2e.ts';
import { busyboxArchive } from '../../support/images.ts';

e2e('8: a saved image imported as a file system has no shell', {}, async (daemon) => {
  const { archive } = await busyboxArchive();
  await daemon.mustDocker(['import', archive, 'bad']);
  const result = await daemon.docker(['run', 'bad', '/bin/bash']);
  assert.equal(result.exit, 127);
  assert.match(
    result.stderr,
    /unable to start container process: error during container init: exec: "\/bin\/bash": stat \/bin\/bash: no such/,
  );
});
