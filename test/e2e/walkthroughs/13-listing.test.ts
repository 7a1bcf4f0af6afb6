import assert from 'node:assert/strict';
import { e2e } from '../../support/e2e.ts';

e2e('13: lists and inspections; a flag after the argument', {}, async (daemon) => {
  const first = await daemon.mustDocker([
    'run',
    '-d',
    '--name',
    'one',
    '-v',
    '/tmp:/data:ro',
    'busybox',
    'sleep',
    '600',
  ]);
  await daemon.mustDocker(['run', '--name', 'two', 'busybox', 'true']);
  const last = await daemon.mustDocker(['ps', '-n=1', '--format', '{{.Names}} {{.Status}}']);
  assert.match(last, /^two Exited \(0\) /);
  const all = (await daemon.mustDocker(['ps', '-aq', '--no-trunc'])).split('\n');
  assert.equal(all.length, 2);
  assert.equal(all[1], first);
  const mounts = JSON.parse(
    await daemon.mustDocker(['inspect', 'one', '--format', '{{ json .Mounts }}']),
  ) as unknown;
  assert.deepEqual(mounts, [
    { Type: 'bind', Source: '/tmp', Destination: '/data', Mode: 'ro', RW: false, Propagation: 'rprivate' },
  ]);
});
