import { LIMITS } from '#base/limits.ts';
import { isContentName, type ContentName } from './content-name.ts';
import { digestInvalid, Fault, STATUS } from './fault.ts';

/*
 * Paths of the distribution specification, "Endpoints". Everything that leaves here was matched whole: a
 * repository name, a tag, a digest or a session id is all that the rest of the server gets to see of a path.
 */

export type ManifestReference =
  | { readonly kind: 'digest'; readonly digest: ContentName }
  | { readonly kind: 'tag'; readonly tag: string };

export type Route =
  | { readonly kind: 'root' }
  | { readonly kind: 'catalog' }
  | { readonly kind: 'search' }
  | { readonly kind: 'ping1' }
  | { readonly kind: 'tags'; readonly name: string }
  | { readonly kind: 'manifest'; readonly name: string; readonly reference: ManifestReference }
  | { readonly kind: 'blob'; readonly name: string; readonly digest: ContentName }
  | { readonly kind: 'uploads'; readonly name: string }
  | { readonly kind: 'upload'; readonly name: string; readonly session: string }
  | { readonly kind: 'referrers'; readonly name: string; readonly digest: ContentName };

const COMPONENT = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const NAME = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`);
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;
const SESSION = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const DIGEST_SHAPE = /^[A-Za-z0-9_+.-]+:/;

export function isRepositoryName(name: string): boolean {
  return name.length <= LIMITS.repositoryNameBytes && NAME.test(name);
}

export function isTag(text: string): boolean {
  return TAG.test(text);
}

/** Errors: 400. */
export function checkedContentName(text: string): ContentName {
  if (isContentName(text)) return text;
  throw digestInvalid('not a sha256 or sha512 digest');
}

function checkedName(name: string): string {
  if (isRepositoryName(name)) return name;
  throw new Fault(STATUS.badRequest, 'NAME_INVALID');
}

function manifestReference(text: string): ManifestReference {
  if (isTag(text)) return { kind: 'tag', tag: text };
  if (DIGEST_SHAPE.test(text)) return { kind: 'digest', digest: checkedContentName(text) };
  throw new Fault(STATUS.badRequest, 'TAG_INVALID', { message: 'invalid tag or digest' });
}

/** The routes of a repository, by what stands behind its name. */
function repositoryRoute(path: string): Route | null {
  const at = (word: string): { name: string; rest: string } | null => {
    const found = path.lastIndexOf(word);
    if (found < 1) return null;
    return { name: checkedName(path.slice(0, found)), rest: path.slice(found + word.length) };
  };
  if (path.endsWith('/tags/list')) return { kind: 'tags', name: checkedName(path.slice(0, -10)) };
  const uploads = /\/blobs\/uploads\/?([^/]*)$/.exec(path);
  if (uploads !== null) {
    const name = checkedName(path.slice(0, uploads.index));
    const session = uploads[1] ?? '';
    if (session === '') return { kind: 'uploads', name };
    if (!SESSION.test(session)) throw new Fault(STATUS.notFound, 'BLOB_UPLOAD_UNKNOWN');
    return { kind: 'upload', name, session };
  }
  const manifest = at('/manifests/');
  if (manifest !== null && !manifest.rest.includes('/'))
    return { kind: 'manifest', name: manifest.name, reference: manifestReference(manifest.rest) };
  const blob = at('/blobs/');
  if (blob !== null && !blob.rest.includes('/'))
    return { kind: 'blob', name: blob.name, digest: checkedContentName(blob.rest) };
  const referrers = at('/referrers/');
  if (referrers !== null && !referrers.rest.includes('/'))
    return { kind: 'referrers', name: referrers.name, digest: checkedContentName(referrers.rest) };
  return null;
}

/** `path` is decoded and without query. Null: there is no such path. Errors: 400 for a bad name in it. */
export function routeOf(path: string): Route | null {
  if (path === '/v2/' || path === '/v2') return { kind: 'root' };
  if (path === '/v2/_catalog') return { kind: 'catalog' };
  if (path === '/v1/search') return { kind: 'search' };
  if (path === '/v1/_ping' || path === '/v1/') return { kind: 'ping1' };
  return path.startsWith('/v2/') ? repositoryRoute(path.slice('/v2/'.length)) : null;
}
