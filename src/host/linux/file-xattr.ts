import type { FilePath } from '../kernel.ts';
import { errnoNumber } from './errno.ts';
import { handlePath } from './file-operations.ts';
import { isRoot, pathText, withHandle } from './file-paths.ts';
import { bare, check, type Operation, one } from './sys.ts';

const FIRST_BYTES = 256;
/** XATTR_SIZE_MAX and XATTR_LIST_MAX. */
const MAX_BYTES = 65536;

/**
 * The calls take paths only, so the object is named by its descriptor; links are not followed, since the
 * descriptor is theirs.
 */
function* onHandle<T>(root: number, path: FilePath, body: (name: string) => Operation<T>): Operation<T> {
  if (isRoot(path)) return yield* body(handlePath(root));
  return yield* withHandle(root, path, (handle) => body(handlePath(handle)));
}

export function* setXattr(
  root: number,
  path: FilePath,
  attribute: { readonly name: string; readonly value: Buffer },
): Operation<void> {
  const { name, value } = attribute;
  yield* onHandle(root, path, (handle) =>
    one(pathText(path), 'setxattr', handle, name, value, value.length, 0),
  );
}

export function* getXattr(root: number, path: FilePath, name: string): Operation<Buffer | null> {
  return yield* onHandle(root, path, function* (handle): Operation<Buffer | null> {
    for (const size of [FIRST_BYTES, MAX_BYTES]) {
      const value = Buffer.alloc(size);
      const length = yield* bare('getxattr', handle, name, value, size);
      if (length === -errnoNumber('ENODATA')) return null;
      if (length !== -errnoNumber('ERANGE'))
        return value.subarray(0, check(length, 'getxattr', pathText(path)));
    }
    return null;
  });
}

export function* listXattrs(root: number, path: FilePath): Operation<readonly string[]> {
  return yield* onHandle(root, path, function* (handle): Operation<readonly string[]> {
    const list = Buffer.alloc(MAX_BYTES);
    const length = yield* one(pathText(path), 'listxattr', handle, list, list.length);
    return list
      .subarray(0, length)
      .toString()
      .split('\0')
      .filter((name) => name !== '');
  });
}

export function* removeXattr(root: number, path: FilePath, name: string): Operation<void> {
  yield* onHandle(root, path, (handle) => one(pathText(path), 'removexattr', handle, name));
}
