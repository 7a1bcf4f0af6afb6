import assert from 'node:assert/strict';
import type { Service } from './service.ts';

export interface ImageView {
  readonly Id: string;
  readonly RepoTags: readonly string[];
  readonly RepoDigests: readonly string[];
  readonly RootFS: { readonly Layers: readonly string[] };
}

interface Message {
  readonly error?: string;
  readonly status?: string;
  readonly aux?: { readonly Digest?: string };
}

/** A verb whose answer is a stream of messages; a failure is one of them. */
export async function streamed(
  service: Service,
  path: string,
  options: { readonly raw?: Buffer; readonly headers?: Readonly<Record<string, string>> } = {},
): Promise<Message[]> {
  const answer = await service.must(path, { method: 'POST', ...options });
  const lines = answer.body.toString().split('\n');
  const messages = lines.filter((line) => line.trim() !== '').map((line) => JSON.parse(line) as Message);
  for (const { error } of messages) assert.equal(error, undefined, path);
  return messages;
}

export async function inspectImage(service: Service, name: string): Promise<ImageView> {
  return (await service.must(`/images/${name}/json`)).json as ImageView;
}

export async function listImages(service: Service): Promise<ImageView[]> {
  return (await service.must('/images/json')).json as ImageView[];
}

/** Takes every image away, so that the next one can only come from elsewhere. */
export async function clearImages(service: Service): Promise<void> {
  const containers = await service.must('/containers/prune', { method: 'POST' });
  assert.equal(containers.status, 200);
  const all = encodeURIComponent(JSON.stringify({ dangling: ['false'] }));
  await service.must(`/images/prune?filters=${all}`, { method: 'POST' });
  assert.deepEqual(await listImages(service), []);
}

/** The digest that a registry knows the image by from now on. */
export async function push(
  service: Service,
  to: { readonly repository: string; readonly tag: string },
  headers: Readonly<Record<string, string>>,
): Promise<string> {
  const messages = await streamed(service, `/images/${to.repository}/push?tag=${to.tag}`, { headers });
  const digest = messages.find(({ aux }) => aux?.Digest !== undefined)?.aux?.Digest ?? '';
  assert.match(digest, /^sha256:[0-9a-f]{64}$/);
  return digest;
}
