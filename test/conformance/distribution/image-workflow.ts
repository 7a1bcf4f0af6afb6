import { deleteBlob, getBlob, headBlob, pushAnyhow, type Target } from './blob-pushes.ts';
import { configContent, imageOf, INDEX_TYPE, type ManifestContent, randomContent } from './content.ts';
import { type Answer, withQuery } from './http.ts';
import type { ImageSet } from './image-sets.ts';
import { errorCodes, expect, Failure, same, Skip } from './verdicts.ts';

interface Put {
  readonly reference: string;
  readonly manifest: ManifestContent;
  readonly tags?: readonly string[];
}

async function putManifest(
  { registry, repo }: Target,
  { reference, manifest, tags = [] }: Put,
): Promise<Answer> {
  const query = tags.map((tag) => `tag=${tag}`).join('&');
  const path = `/v2/${repo}/manifests/${reference}${query === '' ? '' : `?${query}`}`;
  const headers = { 'content-type': manifest.mediaType };
  const answer = expect(await registry.ask('PUT', path, { headers, body: manifest.bytes }), 201);
  if (manifest.subject !== undefined) same(answer.headers['oci-subject'], manifest.subject, 'OCI-Subject');
  return answer;
}

async function pushWithTags(target: Target, set: ImageSet, manifest: ManifestContent): Promise<void> {
  const tags = Object.keys(set.tags).filter((tag) => set.tags[tag] === manifest);
  const answer = await putManifest(target, { reference: manifest.digest, manifest, tags });
  const made = answer.headers['oci-tag'];
  if (made === undefined) throw new Skip('tags beside a digest are not made');
  const list = (Array.isArray(made) ? made.join(',') : made).split(/ *, */);
  same(list.sort(), [...tags].sort(), 'OCI-Tag');
}

/** The tags that were made. */
async function push(target: Target, set: ImageSet): Promise<readonly string[]> {
  const { verdicts } = target;
  const group = `${set.name}/push`;
  for (const blob of set.blobs) await pushAnyhow(target, group, blob);
  let isTagged = set.hasTagParameters === true;
  for (const manifest of set.manifests) {
    const verdict = await verdicts.check(`${group}/manifest-by-digest`, async () => {
      if (set.hasTagParameters === true) return pushWithTags(target, set, manifest);
      await putManifest(target, { reference: manifest.digest, manifest });
    });
    isTagged &&= verdict === 'passed';
  }
  if (isTagged) return Object.keys(set.tags);
  const made: string[] = [];
  for (const [reference, manifest] of Object.entries(set.tags)) {
    const verdict = await verdicts.check(`${group}/manifest-by-tag`, async () => {
      await putManifest(target, { reference, manifest });
      await checkManifest(target, 'HEAD', { reference, manifest });
    });
    if (verdict === 'passed') made.push(reference);
  }
  return made;
}

async function checkManifest(target: Target, method: string, { reference, manifest }: Put): Promise<void> {
  const headers = { accept: manifest.mediaType };
  const path = `/v2/${target.repo}/manifests/${reference}`;
  const answer = expect(await target.registry.ask(method, path, { headers }), 200);
  same(answer.headers['content-type'], manifest.mediaType, 'Content-Type');
  same(answer.headers['docker-content-digest'], manifest.digest, 'Docker-Content-Digest');
  same(answer.headers['content-length'], String(manifest.bytes.length), 'Content-Length');
  if (method === 'GET' && !answer.body.equals(manifest.bytes)) throw new Failure('other bytes');
}

async function readBack(target: Target, set: ImageSet, method: 'HEAD' | 'GET'): Promise<void> {
  const group = method === 'HEAD' ? 'head/manifest-head-by' : 'pull/manifest-by';
  const check = (id: string, put: Put): Promise<unknown> =>
    target.verdicts.check(`${set.name}/${group}-${id}`, () => checkManifest(target, method, put));
  for (const [reference, manifest] of Object.entries(set.tags)) await check('tag', { reference, manifest });
  for (const manifest of set.manifests) await check('digest', { reference: manifest.digest, manifest });
  await readBlobs(target, set, method);
}

async function readBlobs(target: Target, set: ImageSet, method: 'HEAD' | 'GET'): Promise<void> {
  const [id, read] = method === 'HEAD' ? ['head/blob-head', headBlob] : ['pull/blob-get', getBlob];
  for (const blob of set.blobs) await target.verdicts.check(`${set.name}/${id}`, () => read(target, blob));
}

async function tagsIn(answer: Answer): Promise<string[]> {
  const { tags } = JSON.parse(answer.body.toString()) as { tags: string[] | null };
  return tags ?? [];
}

/** All tags, then the same by pages of one. */
async function listTags(
  { registry, repo }: Target,
  wanted: readonly string[],
  { isRepository = false }: { readonly isRepository?: boolean } = {},
): Promise<void> {
  const path = `/v2/${repo}/tags/list`;
  const answer = await registry.ask('GET', path);
  // No manifest may mean no repository.
  if (wanted.length === 0 && answer.status === 404 && !isRepository) return;
  const all = await tagsIn(expect(answer, 200));
  same(all, [...wanted].sort(), 'tags');
  if (wanted.length < 2) return;
  const paged: string[] = [];
  for (let next: string | undefined = withQuery(path, { n: '1' }); next !== undefined; ) {
    const answer = expect(await registry.ask('GET', next), 200);
    const page = await tagsIn(answer);
    same(page.length, 1, 'length of a page');
    paged.push(...page);
    next = /^<([^>]+)>; *rel="?next"?$/.exec(answer.headers.link as string)?.[1];
  }
  same(paged, all, 'tags by pages');
}

async function listReferrers({ registry, repo }: Target, set: ImageSet): Promise<void> {
  for (const subject of set.subjects ?? []) {
    const path = `/v2/${repo}/referrers/${subject}`;
    const wanted = set.manifests.filter((manifest) => manifest.subject === subject);
    const read = async (target: string): Promise<{ answer: Answer; digests: string[] }> => {
      const answer = expect(await registry.ask('GET', target), 200);
      same(answer.headers['content-type'], INDEX_TYPE, 'Content-Type');
      const { manifests } = JSON.parse(answer.body.toString()) as {
        manifests: { digest: string; artifactType?: string }[];
      };
      for (const { digest, artifactType } of manifests)
        same(artifactType, wanted.find((m) => m.digest === digest)?.artifactType, 'artifactType');
      return { answer, digests: manifests.map(({ digest }) => digest).sort() };
    };
    const all = await read(path);
    same(all.digests, wanted.map(({ digest }) => digest).sort(), 'referrers');
    const type = wanted[0]?.artifactType ?? '';
    const some = await read(withQuery(path, { artifactType: type }));
    if (some.answer.headers['oci-filters-applied'] === undefined) continue;
    const filtered = wanted.filter((manifest) => manifest.artifactType === type);
    same(some.digests, filtered.map(({ digest }) => digest).sort(), 'filtered referrers');
  }
}

async function remove(target: Target, set: ImageSet, tags: readonly string[] = []): Promise<void> {
  const { registry, repo, verdicts } = target;
  for (const tag of tags) {
    const path = `/v2/${repo}/manifests/${tag}`;
    await verdicts.check(`${set.name}/delete/tag-delete`, async () => {
      const answer = expect(await registry.ask('DELETE', path), 202, 400, 404, 405);
      if (answer.status === 400 || answer.status === 405) throw new Skip('tags cannot be deleted');
      expect(await registry.ask('HEAD', path), 404);
    });
  }
  for (const { digest } of [...set.manifests].reverse()) {
    const path = `/v2/${repo}/manifests/${digest}`;
    await verdicts.check(`${set.name}/delete/manifest-delete`, async () => {
      expect(await registry.ask('DELETE', path), 202, 404, 400, 405);
      expect(await registry.ask('HEAD', path), 404, 400);
    });
  }
  for (const { digest } of set.blobs)
    await verdicts.check(`${set.name}/delete/blob-delete`, () => deleteBlob(target, digest));
}

export async function imageWorkflow(target: Target, set: ImageSet): Promise<void> {
  const { verdicts } = target;
  const tags = await push(target, set);
  await verdicts.check(`${set.name}/tag-list`, () => listTags(target, Object.keys(set.tags)));
  await readBack(target, set, 'HEAD');
  await readBack(target, set, 'GET');
  if (set.subjects !== undefined)
    await verdicts.check(`${set.name}/referrers`, () => listReferrers(target, set));
  await remove(target, set, tags);
}

/** A manifest that is not what its digest says is not taken. */
export async function badDigestWorkflow(target: Target, set: ImageSet): Promise<void> {
  const { verdicts, registry, repo } = target;
  for (const blob of set.blobs) await pushAnyhow(target, `${set.name}/push`, blob);
  for (const manifest of set.manifests)
    await verdicts.check(`${set.name}/push/manifest-by-digest`, async () => {
      const headers = { 'content-type': manifest.mediaType };
      const path = `/v2/${repo}/manifests/${manifest.digest}`;
      expect(await registry.ask('PUT', path, { headers, body: manifest.bytes }), 400);
    });
  await verdicts.check(`${set.name}/tag-list`, () => listTags(target, [], { isRepository: true }));
  await readBlobs(target, set, 'HEAD');
  await readBlobs(target, set, 'GET');
  await remove(target, set);
}

/** What no repository has, and what is no digest. */
export async function missingWorkflow(target: Target): Promise<void> {
  const { verdicts, registry, repo } = target;
  const { digest } = randomContent();
  for (const [id, reference] of [
    ['by-digest', digest],
    ['by-tag', 'missing'],
  ])
    await verdicts.check(`missing-manifest/${id}`, async () => {
      const answer = expect(await registry.ask('GET', `/v2/${repo}/manifests/${reference}`), 404);
      errorCodes(answer);
    });
  const config = configContent();
  const blob = randomContent();
  const manifest = imageOf(config, [blob]);
  const bad = 'sha256:not-hexadecimal';
  const group = 'invalid-digest-format';
  for (const content of [config, blob]) await pushAnyhow(target, group, content);
  const path = `/v2/${repo}/manifests/${bad}`;
  await verdicts.check(`${group}/manifest-put`, async () => {
    const headers = { 'content-type': manifest.mediaType };
    errorCodes(expect(await registry.ask('PUT', path, { headers, body: manifest.bytes }), 400));
  });
  await verdicts.check(`${group}/manifest-get`, async () => {
    errorCodes(expect(await registry.ask('GET', path), 400));
  });
  await remove(target, { name: group, blobs: [config, blob], manifests: [manifest], tags: {} });
}
