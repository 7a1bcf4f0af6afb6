import assert from 'node:assert/strict';
import { e2e } from '../../support/e2e.ts';
import { run } from '../../support/command.ts';

e2e(
  '16: exec, diff, commit: the file and the removal are in the image, /etc/hosts is not',
  {},
  async (daemon) => {
    const none = ['--network', 'none'];
    await daemon.mustDocker([
      'run',
      '--name',
      'base',
      ...none,
      'busybox',
      'sh',
      '-c',
      'echo welcome > /etc/motd',
    ]);
    await daemon.mustDocker(['commit', 'base', 'withmotd']);
    await daemon.mustDocker(['run', '-d', '--name', 'c1', ...none, 'withmotd', 'sleep', '600']);
    const script = 'echo 1.2.3.4 x >> /etc/hosts; rm /etc/motd; echo hi > /d';
    await daemon.mustDocker(['exec', 'c1', 'sh', '-c', script]);
    assert.deepEqual((await daemon.mustDocker(['diff', 'c1'])).split('\n').sort(), [
      'A /d',
      'C /etc',
      'D /etc/motd',
    ]);
    await daemon.mustDocker(['commit', '-m', 'message', '-c', 'CMD cat /d', 'c1', 'new']);
    assert.equal(await daemon.mustDocker(['run', '--rm', ...none, 'new']), 'hi');
    const history = await daemon.mustDocker(['history', '--format', '{{.Comment}}', 'new']);
    assert.equal(history.split('\n')[0], 'message');

    const saved = `${daemon.root}/new.tar`;
    await daemon.mustDocker(['save', '-o', saved, 'new']);
    const layers = JSON.parse(
      await daemon.mustDocker(['image', 'inspect', '-f', '{{json .RootFS.Layers}}', 'new']),
    );
    const hex = String((layers as string[]).at(-1)).replace('sha256:', '');
    const names = await run('sh', ['-c', `tar -xOf ${saved} blobs/sha256/${hex} | tar -t | sort`]);
    assert.deepEqual(names.stdout.trim().split('\n'), ['d', 'etc/', 'etc/.wh.motd']);
    const hosts = await daemon.mustDocker(['run', '--rm', ...none, 'new', 'cat', '/etc/hosts']);
    assert.ok(!hosts.includes('1.2.3.4'), hosts);
  },
);
