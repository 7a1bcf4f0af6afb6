import assert from 'node:assert/strict';
import { e2e } from '../../support/e2e.ts';

e2e(
  '1: a greeting, versions, and counts that are right',
  { images: ['hello', 'busybox'] },
  async (daemon) => {
    const greeting = await daemon.docker(['run', 'gantry/hello']);
    assert.equal(greeting.exit, 0, greeting.stderr);
    assert.match(greeting.stdout, /hello/i);

    const version = await daemon.mustDocker(['version', '--format', '{{.Server.APIVersion}} {{.Server.Os}}']);
    assert.equal(version, '1.51 linux');
    await daemon.mustDocker(['run', '-d', 'busybox', 'sleep', '600']);
    for (const words of [['system', 'info'], ['info']]) {
      const format = '{{.Containers}} {{.ContainersRunning}} {{.ContainersStopped}} {{.Images}}';
      assert.equal(await daemon.mustDocker([...words, '--format', format]), '2 1 1 2');
    }
  },
);
