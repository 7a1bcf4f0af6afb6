import { artifactOf, emptyJson, INDEX_TYPE, randomContent } from './content.ts';
import { type Answer, withQuery } from './http.ts';
import { expect, Failure, same } from './verdicts.ts';
import {
  deleteBlob,
  deleteManifest,
  pushBlob,
  pushManifest,
  runSpecs,
  smallImage,
  type Specs,
  type Workflow,
} from './v1-context.ts';

const TAGS = ['test0', 'test1', 'test2', 'test3'];

function listing({ registry, repo }: Workflow): Specs {
  const path = `/v2/${repo}/tags/list`;
  const tags = ({ body }: Answer): string[] => (JSON.parse(body.toString()) as { tags: string[] }).tags;
  return [
    [
      'GET request to list tags should yield 200 response',
      async () => same(tags(expect(await registry.ask('GET', path), 200)), TAGS, 'tags'),
    ],
    [
      'GET number of tags should be limitable by `n` query parameter',
      async () =>
        same(tags(expect(await registry.ask('GET', withQuery(path, { n: '2' })), 200)).length, 2, 'tags'),
    ],
    [
      'GET start of tag is set by `last` query parameter',
      async () => {
        const first = tags(expect(await registry.ask('GET', withQuery(path, { n: '2' })), 200));
        const query = { n: '2', last: first.at(-1) ?? '' };
        same(tags(expect(await registry.ask('GET', withQuery(path, query)), 200)), TAGS.slice(2), 'tags');
      },
    ],
  ];
}

interface Referrers {
  readonly answer: Answer;
  readonly digests: string[];
}

async function referrersOf({ registry, repo }: Workflow, digest: string, type = ''): Promise<Referrers> {
  const path = `/v2/${repo}/referrers/${digest}`;
  const answer = await registry.ask('GET', type === '' ? path : withQuery(path, { artifactType: type }));
  same(expect(answer, 200).headers['content-type'], INDEX_TYPE, 'Content-Type');
  const { manifests } = JSON.parse(answer.body.toString()) as { manifests: { digest: string }[] };
  return { answer, digests: manifests.map((entry) => entry.digest).sort() };
}

export async function discoveryWorkflow(workflow: Workflow): Promise<void> {
  const { registry, repo } = workflow;
  const { config, layer, manifest } = smallImage();
  const missing = smallImage().manifest;
  const data = [randomContent(), randomContent()] as const;
  const one = artifactOf('application/vnd.test.one', [data[0]], manifest);
  const two = artifactOf('application/vnd.test.two', [data[1]], manifest);
  const orphan = artifactOf('application/vnd.test.one', [data[0]], missing);
  await runSpecs(workflow, 'Content Discovery / Setup', [
    ['Populate registry with test blob', () => pushBlob(workflow, config)],
    ['Populate registry with test layer', () => pushBlob(workflow, layer)],
    [
      'Populate registry with test tags',
      async () => {
        for (const tag of TAGS) await pushManifest(workflow, manifest, tag);
        expect(await registry.ask('GET', `/v2/${repo}/tags/list`), 200);
      },
    ],
    ['Populate registry with test tags (no push)', async () => {}],
    [
      'References setup',
      async () => {
        for (const blob of [emptyJson(), ...data]) await pushBlob(workflow, blob);
        for (const artifact of [one, two, orphan]) await pushManifest(workflow, artifact);
      },
    ],
  ]);
  const tags = 'Content Discovery / Test content discovery endpoints (listing tags)';
  await runSpecs(workflow, tags, listing(workflow));
  const both = [one.digest, two.digest].sort();
  await runSpecs(workflow, 'Content Discovery / Test content discovery endpoints (listing references)', [
    [
      'GET request to nonexistent blob should result in empty 200 response',
      async () => same((await referrersOf(workflow, randomContent().digest)).digests, [], 'referrers'),
    ],
    [
      'GET request to existing blob should yield 200',
      async () => same((await referrersOf(workflow, manifest.digest)).digests, both, 'referrers'),
    ],
    [
      'GET request to existing blob with filter should yield 200',
      async () => {
        const { answer, digests } = await referrersOf(workflow, manifest.digest, 'application/vnd.test.two');
        if (answer.headers['oci-filters-applied'] === undefined) return same(digests, both, 'referrers');
        same(answer.headers['oci-filters-applied'], 'artifactType', 'OCI-Filters-Applied');
        same(digests, [two.digest], 'filtered referrers');
      },
    ],
    [
      'GET request to missing manifest should yield 200',
      async () => same((await referrersOf(workflow, missing.digest)).digests, [orphan.digest], 'referrers'),
    ],
  ]);
  const remove = (): Promise<void> => deleteManifest(workflow, manifest.digest);
  await runSpecs(workflow, 'Content Discovery / Teardown', [
    ['Delete created manifest & associated tags', remove],
    ['Delete config blob created in tests', () => deleteBlob(workflow, config)],
    ['Delete layer blob created in setup', () => deleteBlob(workflow, layer)],
    ['Delete created manifest & associated tags', remove],
    [
      'References teardown',
      async () => {
        for (const { digest } of [one, two, orphan]) await deleteManifest(workflow, digest);
        for (const blob of [emptyJson(), ...data]) await deleteBlob(workflow, blob);
        if ((await registry.ask('GET', `/v2/${repo}/manifests/${one.digest}`)).status !== 404)
          throw new Failure('a deleted manifest is there');
      },
    ],
  ]);
}
