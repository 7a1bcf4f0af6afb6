import { FileContentStore } from './content/file-content-store.ts';
import type { ContentStore } from './content-store.ts';

/** Blobs alone, for whoever unpacks nothing: `<root>/blobs/sha256/<hex>`. */
export function openContentStore(root: string): Promise<ContentStore> {
  return FileContentStore.open(root);
}
