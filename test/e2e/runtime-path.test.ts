import assert from 'node:assert/strict';
import { e2e } from '../support/e2e.ts';

e2e('an OCI runtime can be named by its path', {}, async (daemon) => {
  const runtime = '/usr/sbin/runc';
  const run = ['run', '-d', '--name', 'byPath', '--runtime', runtime, 'busybox', 'sh', '-c', 'sleep 300'];
  await daemon.mustDocker(run);
  assert.equal(await daemon.mustDocker(['inspect', '-f', '{{.HostConfig.Runtime}}', 'byPath']), runtime);
  await daemon.restart();
  assert.equal(await daemon.mustDocker(['exec', 'byPath', 'echo', 'works']), 'works');
  await daemon.mustDocker(['rm', '-f', 'byPath']);
  const missing = await daemon.docker(['run', '--rm', '--runtime', '/no/such', 'busybox', 'true']);
  assert.match(missing.stderr, /\/no\/such: .*no such file or directory/);
  assert.equal(missing.exit, 127);
});
