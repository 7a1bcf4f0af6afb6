import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { must, run, until } from '../support/command.ts';
import { HOST_ADDRESS, startService } from './service.ts';

async function fetchPage(address: string): Promise<string> {
  return until(
    async () => {
      const answer = await run('curl', ['-sSfm', '5', `http://${address}/`]);
      return answer.exit === 0 ? answer.stdout : undefined;
    },
    { what: `an answer from ${address}`, timeoutMs: 60_000 },
  );
}

test('a published port answers on every address of the host, before and after a crash', async () => {
  await using service = await startService({ images: ['busybox', 'web'] });
  const id = await service.launch({
    Image: 'gantry/web',
    ExposedPorts: { '8080/tcp': {} },
    HostConfig: { PortBindings: { '8080/tcp': [{ HostPort: '8080' }] } },
  });
  for (const address of ['127.0.0.1:8080', `${HOST_ADDRESS}:8080`])
    assert.match(await fetchPage(address), /hello from gantry\/web/, address);
  assert.match(await must('nft', ['list', 'ruleset']), /8080/);
  // A neighbour comes by the address of the host, too.
  const neighbour = await service.run({
    Cmd: ['sh', '-c', `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 60 ${HOST_ADDRESS} 8080`],
  });
  assert.match(neighbour.output, /hello from gantry\/web/);
  await service.crash();
  assert.match(await fetchPage('127.0.0.1:8080'), /hello from gantry\/web/);
  await service.must(`/containers/${id}?force=1`, { method: 'DELETE' });
  assert.doesNotMatch(await must('nft', ['list', 'ruleset']), /8080/);
});

test('icc=false holds on a kernel without br_netfilter', async () => {
  assert.ok(!existsSync('/proc/sys/net/bridge'), 'the kernel as Debian starts it');
  await using service = await startService({ config: { icc: false } });
  const id = await service.launch({ Cmd: ['sleep', '1000'] });
  const { NetworkSettings } = (await service.must(`/containers/${id}/json`)).json as {
    NetworkSettings: { Networks: { bridge: { IPAddress: string; Gateway: string } } };
  };
  const { IPAddress, Gateway } = NetworkSettings.Networks.bridge;
  const script = `ping -c 1 -W 20 ${Gateway} | grep -c 'bytes from'; ping -c 1 -W 5 ${IPAddress} | grep -c 'bytes from'`;
  const neighbour = await service.run({ Cmd: ['sh', '-c', script] });
  assert.equal(neighbour.output, '1\n0\n', 'the host answers, the neighbour is not reached');
});
