import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { type ClientRequest, request } from 'node:http';
import { until } from '../../support/command.ts';
import { busyboxArchive } from '../../support/images.ts';
import { nothingIsBegun, pull, registryTest, smallLayers } from '../../support/registry/fixture.ts';
import { OPEN_REGISTRY } from '../../support/registry/plan.ts';

const R = '127.0.0.1:5000';
/** More than there are places for jobs. */
const CLIENTS = 8;

function beginLoad(socketPath: string, bytes: Buffer): ClientRequest {
  const headers = { host: 'docker', 'content-type': 'application/x-tar' };
  const sending = request({ socketPath, method: 'POST', path: '/v1.47/images/load', headers });
  sending.on('error', () => undefined);
  sending.write(bytes);
  return sending;
}

registryTest(
  'clients that stop in the middle of a layer hold up no pull',
  {
    hosts: { [R]: [OPEN_REGISTRY] },
    tls: 'none',
    images: [{ repository: 'a', tags: ['v'], layers: smallLayers('stalled') }],
  },
  async ({ daemon }) => {
    const archive = await readFile((await busyboxArchive()).archive);
    const half = archive.subarray(0, archive.length >> 1);
    const loads = Array.from({ length: CLIENTS }, () => beginLoad(daemon.socket, half));
    const begun = async (): Promise<true | undefined> =>
      (await readdir(`${daemon.dataRoot}/content/ingest`)).length >= CLIENTS || undefined;
    await until(begun, { what: 'the layers that are on their way' });
    assert.equal((await pull(daemon, `${R}/a:v`)).error, '');
    for (const load of loads) load.destroy();
    const ended = (): Promise<true | undefined> =>
      nothingIsBegun({ daemon }).then(
        () => true,
        () => undefined,
      );
    await until(ended, { what: 'the end of the loads' });
  },
);
