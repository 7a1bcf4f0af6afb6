import type { Content } from './content.ts';
import { type Answer, locationOf, type Registry, withQuery } from './http.ts';
import { expect, Failure, Skip, same, type Verdict, type Verdicts } from './verdicts.ts';

/*
 * The ways in which a blob comes into a repository. Where one fails the next is tried, as a client would.
 */

export interface Target {
  readonly registry: Registry;
  readonly repo: string;
  readonly verdicts: Verdicts;
}

export async function openUpload({ registry, repo }: Target, digest = ''): Promise<string> {
  const isOther = digest.startsWith('sha512');
  const path = `/v2/${repo}/blobs/uploads/`;
  const answer = await registry.ask(
    'POST',
    isOther ? withQuery(path, { 'digest-algorithm': 'sha512' }) : path,
    {
      body: Buffer.alloc(0),
    },
  );
  return locationOf(expect(answer, 202));
}

function checkCreated(answer: Answer, blob: Content): void {
  expect(answer, 201);
  locationOf(answer);
  const said = answer.headers['docker-content-digest'];
  if (said !== undefined) same(said, blob.digest, 'Docker-Content-Digest');
}

export async function postPut(target: Target, blob: Content): Promise<void> {
  const location = await openUpload(target, blob.digest);
  const answer = await target.registry.ask('PUT', withQuery(location, { digest: blob.digest }), {
    headers: { 'content-type': 'application/octet-stream' },
    body: blob.bytes,
  });
  checkCreated(answer, blob);
}

export async function postOnly({ registry, repo }: Target, blob: Content): Promise<void> {
  const path = withQuery(`/v2/${repo}/blobs/uploads/`, { digest: blob.digest });
  const answer = await registry.ask('POST', path, { body: blob.bytes });
  if (answer.status === 202) throw new Skip('blobs are not taken by one POST');
  checkCreated(answer, blob);
}

export async function patchStream(target: Target, blob: Content): Promise<void> {
  const location = await openUpload(target, blob.digest);
  const half = blob.bytes.length >> 1;
  const body = [blob.bytes.subarray(0, half), blob.bytes.subarray(half)];
  const patched = expect(await target.registry.ask('PATCH', location, { body }), 202);
  const put = withQuery(locationOf(patched), { digest: blob.digest });
  checkCreated(await target.registry.ask('PUT', put, { body: Buffer.alloc(0) }), blob);
}

export interface Chunking {
  readonly count: number;
  readonly isLastPut?: boolean;
  readonly isOutOfOrder?: boolean;
}

interface Piece {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

function pieces(bytes: Buffer, count: number): Piece[] {
  const size = Math.ceil(bytes.length / count);
  return Array.from({ length: count }, (_, i) => {
    const body = bytes.subarray(i * size, Math.min(bytes.length, (i + 1) * size));
    const range = `${i * size}-${i * size + body.length - 1}`;
    return { headers: { 'content-range': range, 'content-type': 'application/octet-stream' }, body };
  });
}

export async function patchChunked(target: Target, blob: Content, how: Chunking): Promise<void> {
  const { registry } = target;
  let location = await openUpload(target, blob.digest);
  const parts = pieces(blob.bytes, how.count);
  if (how.isOutOfOrder === true) {
    expect(await registry.ask('PATCH', location, parts[1]), 416);
  }
  const last = how.isLastPut === true ? parts.pop() : undefined;
  let sent = 0;
  for (const part of parts) {
    const answer = expect(await registry.ask('PATCH', location, part), 202);
    sent += part.body.length;
    same(answer.headers.range, `0-${sent - 1}`, 'Range');
    location = locationOf(answer);
  }
  if (how.isOutOfOrder === true) {
    expect(await registry.ask('PATCH', location, parts[0]), 416);
    const status = expect(await registry.ask('GET', location), 204);
    same(status.headers.range, `0-${sent - 1}`, 'Range');
    location = locationOf(status);
  }
  const put = withQuery(location, { digest: blob.digest });
  checkCreated(await registry.ask('PUT', put, last ?? { body: Buffer.alloc(0) }), blob);
}

/** All ways, until one works; each that is tried is a case. */
export async function pushAnyhow(target: Target, group: string, blob: Content): Promise<Verdict> {
  const ways: readonly [string, () => Promise<void>][] = [
    ['blob-post-put', () => postPut(target, blob)],
    ['blob-post-only', () => postOnly(target, blob)],
    ['blob-patch-stream', () => patchStream(target, blob)],
    ['blob-patch-chunked', () => patchChunked(target, blob, { count: 1 })],
  ];
  for (const [name, push] of ways)
    if ((await target.verdicts.check(`${group}/${name}`, push)) === 'passed') return 'passed';
  return 'failure';
}

export async function headBlob({ registry, repo }: Target, blob: Content): Promise<void> {
  const answer = expect(await registry.ask('HEAD', `/v2/${repo}/blobs/${blob.digest}`), 200);
  same(answer.headers['content-length'], String(blob.bytes.length), 'Content-Length');
  same(answer.headers['docker-content-digest'], blob.digest, 'Docker-Content-Digest');
}

export async function getBlob({ registry, repo }: Target, blob: Content): Promise<void> {
  const answer = expect(await registry.ask('GET', `/v2/${repo}/blobs/${blob.digest}`), 200);
  same(answer.headers['docker-content-digest'], blob.digest, 'Docker-Content-Digest');
  if (!answer.body.equals(blob.bytes)) throw new Failure('other bytes');
}

export async function deleteBlob({ registry, repo }: Target, digest: string): Promise<void> {
  const path = `/v2/${repo}/blobs/${digest}`;
  expect(await registry.ask('DELETE', path), 202, 404, 400, 405);
  expect(await registry.ask('HEAD', path), 404, 400);
}

/** Cross-repository; a registry may open a session instead, which is gone on with. */
export async function mountBlob(target: Target, blob: Content, from: string | null): Promise<void> {
  const query = { mount: blob.digest, ...(from !== null && { from }) };
  const path = withQuery(`/v2/${target.repo}/blobs/uploads/`, query);
  const answer = expect(await target.registry.ask('POST', path, { body: Buffer.alloc(0) }), 201, 202);
  if (answer.status === 201) return checkCreated(answer, blob);
  if (from === null) throw new Skip('nothing is mounted without from');
  const put = withQuery(locationOf(answer), { digest: blob.digest });
  checkCreated(await target.registry.ask('PUT', put, { body: blob.bytes }), blob);
}
