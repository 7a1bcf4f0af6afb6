import {
  deleteBlob,
  getBlob,
  headBlob,
  mountBlob,
  openUpload,
  patchChunked,
  patchStream,
  postOnly,
  postPut,
  pushAnyhow,
  type Target,
} from './blob-pushes.ts';
import { type Algorithm, content, type Content, digestWith, emptyJson, randomContent } from './content.ts';
import { withQuery } from './http.ts';
import { expect, Failure, Skip } from './verdicts.ts';

type Push = (target: Target, blob: Content) => Promise<void>;

const CHUNKED: Push = (target, blob) => patchChunked(target, blob, { count: 1 });
const CHUNKED_PUT: Push = (target, blob) => patchChunked(target, blob, { count: 2, isLastPut: true });

/** One way of pushing, then the blob by HEAD and GET when it worked, then its removal. */
async function oneWay(
  target: Target,
  { group, name, push, blob }: { group: string; name: string; push: Push; blob: Content },
): Promise<void> {
  const { verdicts } = target;
  const verdict = await verdicts.check(`${group}/${name}`, () => push(target, blob));
  if (verdict === 'passed') await readBack(target, group, blob);
  await verdicts.check(`${group}/blob-delete`, () => deleteBlob(target, blob.digest));
}

async function readBack(target: Target, group: string, blob: Content): Promise<void> {
  await target.verdicts.check(`${group}/blob-head`, () => headBlob(target, blob));
  await target.verdicts.check(`${group}/blob-get`, () => getBlob(target, blob));
}

async function mounts(target: Target, algorithm: Algorithm, kind: string): Promise<void> {
  const { verdicts, registry } = target;
  const group = `${algorithm} blobs/mount${kind}`;
  const source: Target = { registry, verdicts, repo: `${target.repo}/source` };
  const blob = randomContent(1024, algorithm);
  const isMissing = kind === ' missing';
  const name = kind === ' anonymous' ? 'blob-mount-anonymous' : 'blob-mount';
  const from = kind === ' anonymous' ? null : source.repo;
  const isThere = isMissing || (await pushAnyhow(source, group, blob)) === 'passed';
  const verdict = await verdicts.check(`${group}/${name}`, async () => {
    if (!isThere) throw new Failure('there is nothing to mount');
    await mountBlob(target, blob, from);
  });
  if (verdict === 'passed') await readBack(target, group, blob);
  await verdicts.check(`${group}/blob-delete`, () => deleteBlob(target, blob.digest));
  if (!isMissing) await verdicts.check(`${group}/blob-delete`, () => deleteBlob(source, blob.digest));
}

async function cancel(target: Target, algorithm: Algorithm): Promise<void> {
  const group = `${algorithm} blobs/post cancel`;
  const blob = randomContent(64, algorithm);
  await target.verdicts.check(`${group}/blob-post-cancel`, async () => {
    const location = await openUpload(target);
    const answer = await target.registry.ask('DELETE', location);
    if (answer.status === 405) throw new Skip('uploads cannot be cancelled');
    expect(answer, 204);
    expect(await target.registry.ask('GET', location), 404);
  });
  await target.verdicts.check(`${group}/blob-delete`, () => deleteBlob(target, blob.digest));
}

const RANGES: readonly (readonly [string, number, number] | readonly [string])[] = [
  ['500-1499', 500, 1500],
  ['500-', 500, 2048],
  ['-500', 1548, 2048],
  ['2000-5000', 2000, 2048],
  ['500-0'],
  ['5000-10000'],
];

async function ranges(target: Target, algorithm: Algorithm): Promise<void> {
  const group = `${algorithm} blobs/range requests`;
  const blob = randomContent(2048, algorithm);
  if ((await pushAnyhow(target, group, blob)) !== 'passed') return;
  const path = `/v2/${target.repo}/blobs/${blob.digest}`;
  for (const [range, start, end] of RANGES) {
    await target.verdicts.check(`${group}/range ${range}`, async () => {
      const answer = await target.registry.ask('GET', path, { headers: { range: `bytes=${range}` } });
      if (start === undefined) return void expect(answer, 416, 400);
      expect(answer, 206);
      if (!answer.body.equals(blob.bytes.subarray(start, end))) throw new Failure('other bytes');
    });
  }
  await target.verdicts.check(`${group}/blob-delete`, () => deleteBlob(target, blob.digest));
}

/** Contents that every repository may hold. */
async function wellKnown(target: Target, algorithm: Algorithm, name: string): Promise<void> {
  const group = `${algorithm} blobs/${name}`;
  const blob = name === 'empty' ? content(Buffer.alloc(0), algorithm) : emptyJson(algorithm);
  await pushAnyhow(target, group, blob);
  await readBack(target, group, blob);
  await target.verdicts.check(`${group}/blob-delete`, () => deleteBlob(target, blob.digest));
}

/** A digest of other bytes: whatever the way, the blob is refused. */
async function badDigests(target: Target, algorithm: Algorithm): Promise<void> {
  const ways: readonly [string, string, Push][] = [
    ['post only', 'blob-post-only', postOnly],
    ['post+put', 'blob-post-put', postPut],
    ['chunked', 'blob-patch-chunked', CHUNKED],
    ['chunked and put chunk', 'blob-patch-chunked', CHUNKED_PUT],
    ['stream', 'blob-patch-stream', patchStream],
  ];
  for (const [what, name, push] of ways) {
    const { bytes } = randomContent();
    const blob = { bytes, digest: digestWith(algorithm, Buffer.from(`not ${bytes.toString('hex')}`)) };
    await target.verdicts.check(`${algorithm} blobs/bad digest ${what}/${name}`, async () => {
      const refused = await push(target, blob).then(
        () => false,
        (error: unknown) => {
          if (error instanceof Skip) throw error;
          return error instanceof Failure && error.message.startsWith('400 ');
        },
      );
      if (!refused) throw new Failure('it was taken, or refused in another way than with 400');
      expect(await target.registry.ask('HEAD', `/v2/${target.repo}/blobs/${blob.digest}`), 404);
    });
  }
}

export async function blobWorkflow(target: Target, algorithm: Algorithm): Promise<void> {
  const group = `${algorithm} blobs`;
  await target.verdicts.check(`${group}/get-missing`, async () => {
    const { digest } = randomContent(16, algorithm);
    expect(await target.registry.ask('GET', withQuery(`/v2/${target.repo}/blobs/${digest}`, {})), 404);
  });
  const chunked =
    (count: number, more: object): Push =>
    (to, blob) =>
      patchChunked(to, blob, { count, ...more });
  const ways: readonly [string, string, Push][] = [
    ['post only', 'blob-post-only', postOnly],
    ['post+put', 'blob-post-put', postPut],
    ['chunked single', 'blob-patch-chunked', CHUNKED],
    ['stream', 'blob-patch-stream', patchStream],
    ['chunked multi', 'blob-patch-chunked', chunked(3, {})],
    ['chunked multi and put chunk', 'blob-patch-chunked', chunked(3, { isLastPut: true })],
    ['chunked out-of-order', 'blob-patch-chunked', chunked(3, { isOutOfOrder: true })],
    [
      'chunked out-of-order and put chunk',
      'blob-patch-chunked',
      chunked(3, { isOutOfOrder: true, isLastPut: true }),
    ],
  ];
  for (const [what, name, push] of ways)
    await oneWay(target, { group: `${group}/${what}`, name, push, blob: randomContent(3000, algorithm) });
  for (const kind of ['', ' anonymous', ' missing']) await mounts(target, algorithm, kind);
  await cancel(target, algorithm);
  await ranges(target, algorithm);
  for (const name of ['empty', 'emptyJSON']) await wellKnown(target, algorithm, name);
  await badDigests(target, algorithm);
}
