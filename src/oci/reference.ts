import { EngineError } from '#base/errors.ts';
import { digestFromHex, digestProblem, isDigest, type Digest } from './digest.ts';

/*
 * Names of images, with the grammar and the normalisation of the `distribution/reference` project: `busybox`
 * is short for `docker.io/library/busybox:latest`.
 */

export interface Reference {
  /** `docker.io`, `localhost:5000`, … */
  readonly domain: string;
  /** Path below the domain: `library/busybox`. */
  readonly path: string;
  readonly tag: string | null;
  readonly digest: Digest | null;
}

const DOMAIN_LABEL = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const DOMAIN = `(?:${DOMAIN_LABEL}(?:\\.${DOMAIN_LABEL})*|\\[(?:[a-fA-F0-9:]+)\\])(?::[0-9]+)?`;
const COMPONENT = '[a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*';
const NAME = new RegExp(`^(?:(${DOMAIN})/)?(${COMPONENT}(?:/${COMPONENT})*)$`);
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const DIGEST_SHAPE = /^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$/;
const IDENTIFIER = /^[a-f0-9]{64}$/;
const PATH_LENGTH_MAX = 255;
/** Longer texts cannot be references; the expressions never see them. */
const TEXT_LENGTH_MAX = 4096;

const DEFAULT_DOMAIN = 'docker.io';
const LEGACY_DOMAIN = 'index.docker.io';
const OFFICIAL_PREFIX = 'library/';

function invalid(message: string): EngineError {
  return new EngineError('invalidArgument', message);
}

interface Split {
  readonly name: string;
  readonly tag: string | null;
  readonly digest: string | null;
}

/** Cuts `name[:tag][@digest]` without judging the name. */
function splitReference(text: string): Split | undefined {
  const at = text.indexOf('@');
  const digest = at < 0 ? null : text.slice(at + 1);
  if (digest !== null && !DIGEST_SHAPE.test(digest)) return undefined;
  const rest = at < 0 ? text : text.slice(0, at);
  const colon = rest.lastIndexOf(':');
  if (colon < 0 || rest.indexOf('/', colon) >= 0) return { name: rest, tag: null, digest };
  const tag = rest.slice(colon + 1);
  return TAG.test(tag) ? { name: rest.slice(0, colon), tag, digest } : undefined;
}

function parseCanonical(text: string): Reference {
  if (text === '') throw invalid('repository name must have at least one component');
  if (text.length > TEXT_LENGTH_MAX) throw invalid('invalid reference format');
  const split = splitReference(text);
  const match = split === undefined ? null : NAME.exec(split.name);
  const path = match?.[2];
  if (split === undefined || path === undefined) {
    const lower = splitReference(text.toLowerCase());
    if (lower !== undefined && NAME.test(lower.name)) throw invalid('repository name must be lowercase');
    throw invalid('invalid reference format');
  }
  if (path.length > PATH_LENGTH_MAX)
    throw invalid(`repository name must not be more than ${PATH_LENGTH_MAX} characters`);
  const { tag, digest } = split;
  if (digest !== null && !isDigest(digest)) throw invalid(digestProblem(digest));
  return { domain: match?.[1] ?? '', path, tag, digest };
}

/** Whether the part before the first slash is a host, as the docker client decides it. */
function looksLikeDomain(first: string): boolean {
  return first === 'localhost' || first.includes('.') || first.includes(':') || first.toLowerCase() !== first;
}

function splitDomain(name: string): { domain: string; remainder: string } {
  const slash = name.indexOf('/');
  if (slash < 0) return { domain: DEFAULT_DOMAIN, remainder: OFFICIAL_PREFIX + name };
  const first = name.slice(0, slash);
  let domain = DEFAULT_DOMAIN;
  let remainder = name;
  if (first === LEGACY_DOMAIN) remainder = name.slice(slash + 1);
  else if (looksLikeDomain(first)) {
    domain = first;
    remainder = name.slice(slash + 1);
  }
  if (domain === DEFAULT_DOMAIN && !remainder.includes('/')) remainder = OFFICIAL_PREFIX + remainder;
  return { domain, remainder };
}

/** Parses what a user writes. Errors: `invalidArgument` with the texts clients know. */
export function parseReference(text: string): Reference {
  if (IDENTIFIER.test(text)) {
    throw invalid(`invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`);
  }
  const { domain, remainder } = splitDomain(text);
  const colon = remainder.indexOf(':');
  const remote = colon < 0 ? remainder : remainder.slice(0, colon);
  if (remote.toLowerCase() !== remote) {
    throw invalid(`invalid reference format: repository name (${remote}) must be lowercase`);
  }
  return parseCanonical(`${domain}/${remainder}`);
}

/** A name, or an image's whole id with or without `sha256:`. */
export type AnyReference =
  | { readonly kind: 'digest'; readonly digest: Digest }
  | { readonly kind: 'named'; readonly reference: Reference };

export function parseAnyReference(text: string): AnyReference {
  if (IDENTIFIER.test(text)) return { kind: 'digest', digest: digestFromHex(text) };
  if (isDigest(text)) return { kind: 'digest', digest: text };
  return { kind: 'named', reference: parseReference(text) };
}

/** `domain/path`, never shortened. */
export function repositoryName(reference: Reference): string {
  return `${reference.domain}/${reference.path}`;
}

/** The whole normalised text. */
export function formatReference(reference: Reference): string {
  return withSuffix(repositoryName(reference), reference);
}

function withSuffix(name: string, reference: Reference): string {
  const tag = reference.tag === null ? '' : `:${reference.tag}`;
  return `${name}${tag}${reference.digest === null ? '' : `@${reference.digest}`}`;
}

/** The repository as users write it: `busybox` for `docker.io/library/busybox`. */
export function familiarName(reference: Reference): string {
  if (reference.domain !== DEFAULT_DOMAIN) return repositoryName(reference);
  const [first, second, third] = reference.path.split('/');
  return first === 'library' && second !== undefined && third === undefined ? second : reference.path;
}

/** What lists show: `busybox:latest`, `example.com/a@sha256:…`. */
export function familiarReference(reference: Reference): string {
  return withSuffix(familiarName(reference), reference);
}

/** Adds `:latest` to a reference with neither tag nor digest. */
export function withDefaultTag(reference: Reference): Reference {
  return reference.tag === null && reference.digest === null ? { ...reference, tag: 'latest' } : reference;
}

export function withTag(reference: Reference, tag: string): Reference {
  if (!TAG.test(tag)) throw invalid('invalid tag format');
  return { ...reference, tag };
}
