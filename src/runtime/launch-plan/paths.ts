import { invalid } from './builder.ts';

/**
 * A path of the container, absolute and without empty components, `.` and `..`. A relative one starts at the
 * root. Errors: `invalidArgument` when it leads out of the root, is too long or empty.
 */
export function insideRoot(path: string, from: string): string {
  if (path === '') throw invalid(from, 'missing');
  if (path.includes('\0')) throw invalid(from, 'a NUL character');
  if (Buffer.byteLength(path) >= MAX_PATH) throw invalid(from, `longer than ${MAX_PATH - 1} bytes`);
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.pop() === undefined) throw invalid(from, `"${path}" leads out of the root`);
  }
  return `/${parts.join('/')}`;
}

const MAX_PATH = 4096;
