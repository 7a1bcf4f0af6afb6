import { mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type BuiltStandinImage, ContentFolder, type StandinImage } from './content.ts';
import type { RepositoriesFile } from './plan.ts';

/**
 * The images as an OCI image layout, for clients that copy from one. Their tags are the layout's names, so
 * no two of them may have the same.
 */
export async function writeLayout(
  folder: string,
  images: readonly StandinImage[],
): Promise<readonly BuiltStandinImage[]> {
  const content = new ContentFolder(join(folder, '.content'));
  const built: BuiltStandinImage[] = [];
  for (const image of images) built.push(await content.add({ documents: 'oci', ...image }));
  await mkdir(join(folder, 'blobs'));
  await symlink('../.content/blobs', join(folder, 'blobs/sha256'));
  const text = await readFile(join(content.folder, 'repositories.json'), 'utf8');
  const manifests = await Promise.all(
    Object.values(JSON.parse(text) as RepositoriesFile).flatMap((record) =>
      Object.entries(record.tags).map(async ([tag, digest]) => ({
        mediaType: record.manifests[digest],
        size: (await stat(join(content.folder, 'blobs', digest.slice('sha256:'.length)))).size,
        digest,
        annotations: { 'org.opencontainers.image.ref.name': tag },
      })),
    ),
  );
  await writeFile(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }));
  await writeFile(join(folder, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  return built;
}
