import { expect, Failure, Skip } from './verdicts.ts';
import { pushBlob, pushManifest, runSpecs, smallImage, type Workflow } from './v1-context.ts';

const TAG = 'tagtest0';

export async function managementWorkflow(workflow: Workflow): Promise<void> {
  const { registry, repo } = workflow;
  const { config, layer, manifest } = smallImage();
  const at = (reference: string): string => `/v2/${repo}/manifests/${reference}`;
  const listPath = `/v2/${repo}/tags/list`;
  const tags = async (): Promise<readonly string[]> => {
    const answer = expect(await registry.ask('GET', listPath), 200, 404);
    if (answer.status === 404) return [];
    return (JSON.parse(answer.body.toString()) as { tags: string[] | null }).tags ?? [];
  };
  let [before, isTagGone] = [0, false];
  await runSpecs(workflow, 'Content Management / Setup', [
    ['Populate registry with test config blob', () => pushBlob(workflow, config)],
    ['Populate registry with test layer', () => pushBlob(workflow, layer)],
    ['Populate registry with test tag', () => pushManifest(workflow, manifest, TAG)],
    [
      'Check how many tags there are before anything gets deleted',
      async () => {
        expect(await registry.ask('GET', listPath), 200);
        before = (await tags()).length;
      },
    ],
  ]);
  await runSpecs(workflow, 'Content Management / Manifest delete', [
    [
      'DELETE request to manifest tag should return 202, unless tag deletion is disallowed (400/405)',
      async () => {
        const { status } = expect(await registry.ask('DELETE', at(TAG)), 202, 400, 405);
        isTagGone = status === 202;
        if (isTagGone) expect(await registry.ask('GET', at(TAG)), 404);
      },
    ],
    [
      'DELETE request to manifest (digest) should yield 202 response unless already deleted',
      async () => void expect(await registry.ask('DELETE', at(manifest.digest)), 202, 404),
    ],
    [
      'GET request to deleted manifest URL should yield 404 response, unless delete is disallowed',
      async () => void expect(await registry.ask('GET', at(manifest.digest)), 404),
    ],
    [
      'GET request to tags list should reflect manifest deletion',
      async () => {
        if ((await tags()).length >= before) throw new Failure('as many tags as before');
      },
    ],
  ]);
  const path = (digest: string): string => `/v2/${repo}/blobs/${digest}`;
  await runSpecs(workflow, 'Content Management / Blob delete', [
    [
      'DELETE request to blob URL should yield 202 response',
      async () => {
        for (const { digest } of [config, layer])
          expect(await registry.ask('DELETE', path(digest)), 202, 404, 405);
      },
    ],
    [
      'GET request to deleted blob URL should yield 404 response',
      async () => {
        const { status } = await registry.ask('GET', path(config.digest));
        if (status === 200) throw new Skip('blobs cannot be deleted');
        if (status !== 404) throw new Failure(String(status));
      },
    ],
  ]);
}
