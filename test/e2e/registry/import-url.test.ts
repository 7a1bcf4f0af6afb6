import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { e2e } from '../../support/e2e.ts';
import { serveFile } from '../../support/file-server.ts';
import { imageArchive } from '../../support/images.ts';

/** Serves one file at /rootfs.tar, and cuts it in half at /half.tar. */
const SERVER = `
const { createServer } = require('node:http');
const bytes = require('node:fs').readFileSync(process.argv[1]);
createServer((request, response) => {
  if (request.url === '/rootfs.tar') return response.end(bytes);
  if (request.url === '/moved.tar') return response.writeHead(302, { location: '/rootfs.tar' }).end();
  if (request.url === '/half.tar') {
    response.writeHead(200, { 'content-length': bytes.length });
    return response.write(bytes.subarray(0, bytes.length >> 1), () => response.destroy());
  }
  response.writeHead(404).end('nothing here\\n');
}).listen(8080, '198.18.0.1', () => console.log('ready'));
`;

e2e('import from an address', { images: [] }, async (daemon) => {
  const rootfs = await imageArchive('rootfs');
  await using _server = await serveFile(daemon, { program: SERVER, file: rootfs });
  const at = 'http://198.18.0.1:8080';
  const query = (from: string): string =>
    `/v1.51/images/create?fromSrc=${encodeURIComponent(from)}&repo=imp&tag=1`;
  const answer = await daemon.api(query(`${at}/moved.tar`), { method: 'POST' });
  const lines = answer.body
    .toString()
    .trimEnd()
    .split('\r\n')
    .map(
      (line) => JSON.parse(line) as { status: string; progressDetail?: { current: number; total: number } },
    );
  assert.equal(lines[0]?.status, `Downloading from ${at}/moved.tar`);
  const last = lines.at(-2);
  const sizeBytes = (await readFile(rootfs)).length;
  assert.equal(last?.status, 'Importing');
  assert.deepEqual(last.progressDetail, { current: sizeBytes, total: sizeBytes });
  const id = lines.at(-1)?.status;
  assert.match(id ?? '', /^sha256:[0-9a-f]{64}$/);
  const format = '{{.Id}} {{.Comment}}';
  const inspected = await daemon.mustDocker(['image', 'inspect', '-f', format, 'imp:1']);
  assert.equal(inspected, `${id} Imported from ${at}/moved.tar`);
  await daemon.mustDocker(['import', '-c', 'CMD ["sh"]', `${at}/rootfs.tar`, 'imp:2']);
  assert.equal(await daemon.mustDocker(['run', '--rm', 'imp:2', 'echo', 'ran']), 'ran');

  const refused = async (from: string): Promise<string> => {
    const result = await daemon.docker(['import', from, 'imp:3']);
    assert.equal(result.exit, 1, from);
    return result.stderr.trimEnd();
  };
  const said = 'Error response from daemon: ';
  assert.equal(
    await refused('http://127.0.0.1:1/x.tar'),
    `${said}Get "http://127.0.0.1:1/x.tar": dial tcp 127.0.0.1:1: connect: connection refused`,
  );
  assert.equal(
    await refused(`${at}/x.tar`),
    `${said}failed to GET ${at}/x.tar with status 404 Not Found: nothing here`,
  );
  // Clients take these for files.
  const bare = await daemon.api(query('198.18.0.1:8080/rootfs.tar'), { method: 'POST' });
  assert.match(
    bare.body.toString(),
    /^\{"status":"Downloading from http:\/\/198\.18\.0\.1:8080\/rootfs\.tar"\}/,
  );
  const ftp = await daemon.api(query('ftp://127.0.0.1/x.tar'), { method: 'POST' });
  assert.equal(ftp.status, 500);
  assert.deepEqual(ftp.json, { message: 'Get "ftp://127.0.0.1/x.tar": unsupported protocol scheme "ftp"' });
  assert.match(await refused(`${at}/half.tar`), /unexpected EOF|connection reset/);
  assert.equal((await daemon.docker(['image', 'inspect', 'imp:3'])).exit, 1);
});
