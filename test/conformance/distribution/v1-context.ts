import { configContent, type Content, imageOf, type ManifestContent, randomContent } from './content.ts';
import { locationOf, type Registry, withQuery } from './http.ts';
import { expect, type Verdicts } from './verdicts.ts';

/** One of the four workflows of the 1.1 suite, in a repository of its own. */
export interface Workflow {
  readonly registry: Registry;
  readonly verdicts: Verdicts;
  readonly repo: string;
}

export type Specs = readonly (readonly [string, () => Promise<void>])[];

export async function runSpecs({ verdicts }: Workflow, group: string, specs: Specs): Promise<void> {
  for (const [name, work] of specs) await verdicts.check(`${group} / ${name}`, work);
}

export async function pushBlob({ registry, repo }: Workflow, { digest, bytes }: Content): Promise<void> {
  const opened = await registry.ask('POST', `/v2/${repo}/blobs/uploads/`, { body: Buffer.alloc(0) });
  const location = withQuery(locationOf(expect(opened, 202)), { digest });
  const headers = { 'content-type': 'application/octet-stream' };
  expect(await registry.ask('PUT', location, { headers, body: bytes }), 201);
}

export async function pushManifest(
  { registry, repo }: Workflow,
  manifest: ManifestContent,
  reference: string = manifest.digest,
): Promise<void> {
  const headers = { 'content-type': manifest.mediaType };
  const path = `/v2/${repo}/manifests/${reference}`;
  expect(await registry.ask('PUT', path, { headers, body: manifest.bytes }), 201);
}

export async function deleteManifest({ registry, repo }: Workflow, reference: string): Promise<void> {
  expect(await registry.ask('DELETE', `/v2/${repo}/manifests/${reference}`), 202, 404, 405, 400);
}

export async function deleteBlob({ registry, repo }: Workflow, { digest }: Content): Promise<void> {
  expect(await registry.ask('DELETE', `/v2/${repo}/blobs/${digest}`), 202, 404, 405);
}

export interface SmallImage {
  readonly config: Content;
  readonly layer: Content;
  readonly manifest: ManifestContent;
}

export function smallImage(): SmallImage {
  const [config, layer] = [configContent(), randomContent()];
  return { config, layer, manifest: imageOf(config, [layer]) };
}
