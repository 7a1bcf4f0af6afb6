import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root: every tool works on absolute paths, so that it may be called from anywhere. */
export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
export const DIST = join(ROOT, 'dist');
