import assert from 'node:assert/strict';
import { e2e } from '../../support/e2e.ts';

e2e('20: tmpfs mounts with their options, and nothing on disk', {}, async (daemon) => {
  const options = 'rw,noexec,nosuid,size=65536k';
  const mounts = await daemon.mustDocker(['run', '--rm', '--tmpfs', `/run:${options}`, 'busybox', 'mount']);
  const line = mounts.split('\n').find((l) => l.includes(' on /run '));
  assert.match(line ?? '', /^tmpfs on \/run type tmpfs \(rw,nosuid,nodev,noexec,.*size=65536k/);

  const script = 'grep " /x " /proc/mounts; dd if=/dev/zero of=/x/f bs=1k count=100 2>/dev/null; ls /x';
  const name = ['--name', 'mem'];
  const seen = await daemon.mustDocker([
    'run',
    ...name,
    '--mount',
    'type=tmpfs,target=/x',
    'busybox',
    'sh',
    '-c',
    script,
  ]);
  assert.match(seen, /^tmpfs \/x tmpfs rw,nosuid,nodev,noexec/);
  assert.match(seen, /\nf$/);
  const again = await daemon.docker(['start', '-a', 'mem']);
  assert.match(again.stdout, /\nf\n$/, 'the second start begins with an empty one and fills it again');
});
