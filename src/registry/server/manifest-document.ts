import { isJsonObject, parseJson, type JsonObject, type JsonValue } from '#base/json.ts';
import { LIMITS } from '#base/limits.ts';
import { MEDIA_TYPES, property, stringMap, textProperty } from '#oci/descriptor.ts';
import { isContentName, type ContentName } from './content-name.ts';
import { manifestInvalid } from './fault.ts';

/*
 * What a registry has to know of a manifest. It keeps and gives out the bytes as they came; members that it
 * does not know are the client's affair.
 */

export interface NamedContent {
  readonly digest: ContentName;
  readonly sizeBytes: number;
  readonly isManifest: boolean;
}

export interface ManifestDocument {
  readonly mediaType: string;
  /** What has to be here before the manifest is taken. Layers that lie elsewhere are not in it. */
  readonly names: readonly NamedContent[];
  readonly subject: ContentName | null;
  /** The manifest's own, or else its configuration's media type. */
  readonly artifactType: string;
  readonly annotations: Readonly<Record<string, string>>;
}

const REFUSED_TYPE = /^application\/vnd\.docker\.distribution\.manifest\.v1\+/;
const ELSEWHERE = /nondistributable|\.foreign\.diff/;
const JSON_TYPE = /^[A-Za-z0-9!#$&^_.+-]+\/[A-Za-z0-9!#$&^_.+-]+$/;

function named(value: JsonValue | undefined, isManifest: boolean): NamedContent {
  if (!isJsonObject(value)) throw manifestInvalid('a descriptor is an object');
  const digest = property(value, 'digest');
  if (!isContentName(digest)) throw manifestInvalid('a descriptor without a sha256 or sha512 digest');
  const size = property(value, 'size');
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    throw manifestInvalid('a descriptor without a size');
  return { digest, sizeBytes: size, isManifest };
}

function liesElsewhere(value: JsonValue): boolean {
  if (!isJsonObject(value)) return false;
  const urls = property(value, 'urls');
  return ELSEWHERE.test(textProperty(value, 'mediaType') ?? '') || (Array.isArray(urls) && urls.length > 0);
}

function listOf(value: JsonValue | undefined, what: string, max: number): readonly JsonValue[] {
  if (!Array.isArray(value)) throw manifestInvalid(`"${what}" is not a list`);
  if (value.length > max) throw manifestInvalid(`more than ${max} ${what}`);
  return value;
}

function contents(document: JsonObject): NamedContent[] {
  const has = (member: string): boolean => property(document, member) !== undefined;
  if (has('manifests')) {
    if (has('config') || has('layers')) throw manifestInvalid('it is both a manifest and an index');
    const manifests = listOf(property(document, 'manifests'), 'manifests', LIMITS.descriptorsPerManifest);
    return manifests.map((entry) => named(entry, true));
  }
  if (!has('config') && !has('layers')) throw manifestInvalid('it is neither a manifest nor an index');
  const layers = has('layers')
    ? listOf(property(document, 'layers'), 'layers', LIMITS.descriptorsPerManifest)
    : [];
  const here = layers.filter((layer) => !liesElsewhere(layer)).map((layer) => named(layer, false));
  return [named(property(document, 'config'), false), ...here];
}

function checkType(document: JsonObject, mediaType: string): void {
  if (mediaType.length > LIMITS.mediaTypeBytes || !JSON_TYPE.test(mediaType))
    throw manifestInvalid('bad media type');
  if (REFUSED_TYPE.test(mediaType))
    throw manifestInvalid(`manifests of schema 1 are not taken: ${mediaType}`);
  const isIndex = property(document, 'manifests') !== undefined;
  const single = [MEDIA_TYPES.ociManifest, MEDIA_TYPES.dockerManifest] as readonly string[];
  const many = [MEDIA_TYPES.ociIndex, MEDIA_TYPES.dockerIndex] as readonly string[];
  if ((isIndex ? single : many).includes(mediaType))
    throw manifestInvalid(`its content is not what its media type ${mediaType} says`);
}

/** `contentType` is the request's header. Errors: 400. */
export function parseManifestDocument(bytes: Uint8Array, contentType: string | undefined): ManifestDocument {
  let document: JsonValue;
  try {
    document = parseJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes), 'manifest');
  } catch (error) {
    throw manifestInvalid(error instanceof Error ? error.message : 'not JSON');
  }
  if (!isJsonObject(document)) throw manifestInvalid('it is not a JSON object');
  const said = textProperty(document, 'mediaType') ?? '';
  const header = (contentType ?? '').split(';', 1)[0]?.trim() ?? '';
  const isIndex = property(document, 'manifests') !== undefined;
  const inferred = isIndex ? MEDIA_TYPES.ociIndex : MEDIA_TYPES.ociManifest;
  const mediaType = header !== '' ? header : said !== '' ? said : inferred;
  if (said !== '' && said !== mediaType)
    throw manifestInvalid(`its mediaType ${said} is not the request's Content-Type ${mediaType}`);
  checkType(document, mediaType);
  const names = contents(document);
  const subject = property(document, 'subject');
  const config = property(document, 'config');
  const configType = isJsonObject(config) ? (textProperty(config, 'mediaType') ?? '') : '';
  return {
    mediaType,
    names,
    subject: subject === undefined || subject === null ? null : named(subject, true).digest,
    artifactType: textProperty(document, 'artifactType') || configType,
    annotations: stringMap(property(document, 'annotations')),
  };
}
