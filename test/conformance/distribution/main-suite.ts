import { blobWorkflow } from './blob-workflow.ts';
import type { Registry } from './http.ts';
import { badDigestImage, imageSets } from './image-sets.ts';
import { badDigestWorkflow, imageWorkflow, missingWorkflow } from './image-workflow.ts';
import { randomContent } from './content.ts';
import { expect, same, Verdicts } from './verdicts.ts';

/** Every id that the distribution project's own program reports, each with our own test behind it. */
export async function mainSuite(registry: Registry, name: string): Promise<Verdicts> {
  const verdicts = new Verdicts();
  await verdicts.check('ping', async () => {
    expect(await registry.ask('GET', '/v2/'), 200);
  });
  await verdicts.check('empty/tag list', async () => {
    expect(await registry.ask('GET', `/v2/${name}/empty/tags/list`), 200, 404);
  });
  await verdicts.check('empty/referrers', async () => {
    const path = `/v2/${name}/empty/referrers/${randomContent().digest}`;
    const answer = expect(await registry.ask('GET', path), 200);
    same((JSON.parse(answer.body.toString()) as { manifests: unknown }).manifests, [], 'referrers');
  });
  const target = (part: string): { registry: Registry; verdicts: Verdicts; repo: string } => ({
    registry,
    verdicts,
    repo: `${name}/${part}`,
  });
  for (const algorithm of ['sha256', 'sha512'] as const)
    await blobWorkflow(target(`blobs-${algorithm}`), algorithm);
  for (const set of imageSets()) await imageWorkflow(target(set.name), set);
  await badDigestWorkflow(target('bad-digest'), badDigestImage());
  await missingWorkflow(target('missing'));
  return verdicts;
}
