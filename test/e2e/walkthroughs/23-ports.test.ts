import assert from 'node:assert/strict';
import { e2e } from '../../support/e2e.ts';
import type { TestDaemon } from '../../support/daemon.ts';
import { until } from '../../support/command.ts';

/** Fetches a page from inside of the daemon's network namespace, where its ports are published. */
async function fetchPage(daemon: TestDaemon, address: string): Promise<string> {
  return until(
    async () => {
      const answer = await daemon.inNetwork(['curl', '-sSf', '-m', '3', `http://${address}/`]);
      return answer.exit === 0 ? answer.stdout : undefined;
    },
    { what: `an answer from ${address}` },
  );
}

e2e(
  '23: published ports in all their forms, before and after the daemon is killed',
  { images: ['web'] },
  async (daemon) => {
    await daemon.mustDocker(['run', '-d', '--name', 'pa', '-p', '8080:8080', 'gantry/web']);
    await daemon.mustDocker(['run', '-d', '--name', 'pb', '-p', '127.0.0.1:8081:8080', 'gantry/web']);
    await daemon.mustDocker(['run', '-d', '--name', 'pc', '-p', '8080', 'gantry/web']);
    await daemon.mustDocker(['run', '-d', '--name', 'pd', '-P', 'gantry/web']);
    const portOf = async (name: string): Promise<string> => {
      const line = (await daemon.mustDocker(['port', name, '8080/tcp'])).split('\n')[0] ?? '';
      return line.slice(line.lastIndexOf(':') + 1);
    };
    const addresses = ['127.0.0.1:8080', '198.18.0.1:8080', '127.0.0.1:8081'];
    for (const name of ['pc', 'pd'])
      addresses.push(`127.0.0.1:${await portOf(name)}`, `198.18.0.1:${await portOf(name)}`);
    const pages = new Map<string, string>();
    for (const address of addresses) pages.set(address, await fetchPage(daemon, address));
    const loopbackOnly = await daemon.inNetwork(['curl', '-sSf', '-m', '3', 'http://198.18.0.1:8081/']);
    assert.notEqual(loopbackOnly.exit, 0, 'a port bound to 127.0.0.1 answers elsewhere');

    const twice = await daemon.docker(['run', '-d', '--name', 'pe', '-p', '8080:8080', 'gantry/web']);
    assert.equal(twice.exit, 125);
    assert.match(
      twice.stderr,
      /connectivity on endpoint pe \([0-9a-f]+\): Bind for (0\.0\.0\.0|:::):8080 failed: port is already/,
    );
    const noImage = await daemon.docker(['run', '-p', '-d', '80:80', 'gantry/web']);
    assert.equal(noImage.exit, 125);
    assert.match(noImage.stderr, /invalid (containerPort|publish|proto|start port|hostPort)/i);

    await daemon.restart('SIGKILL');
    for (const [address, page] of pages) assert.equal(await fetchPage(daemon, address), page, address);
    const still = await daemon.docker(['run', '-d', '--name', 'pf', '-p', '8080:8080', 'gantry/web']);
    assert.equal(still.exit, 125, 'the port is taken after a restart, too');
  },
);
