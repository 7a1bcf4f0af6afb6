import { EngineError } from '#base/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '#base/json.ts';
import { LIMITS } from '#base/limits.ts';
import { malformed, property, stringMap, textProperty } from './descriptor.ts';
import { digestProblem, isDigest, parseDigest, type Digest } from './digest.ts';
import { imageShape } from './document-shapes.ts';
import { memberValues, readJson, readShaped } from './go-json.ts';

/** Times in nanoseconds, as Go writes durations. */
export interface Healthcheck {
  readonly test: readonly string[];
  readonly intervalNs: number;
  readonly timeoutNs: number;
  readonly startPeriodNs: number;
  readonly startIntervalNs: number;
  readonly retries: number;
}

/**
 * What an image says about the containers made from it. `null` where the document has nothing, which differs
 * from empty.
 */
export interface ImageDefaults {
  readonly user: string;
  readonly workingDir: string;
  /** `80/tcp`, … */
  readonly exposedPorts: readonly string[] | null;
  readonly env: readonly string[] | null;
  readonly entrypoint: readonly string[] | null;
  readonly cmd: readonly string[] | null;
  /** Paths inside a container. */
  readonly volumes: readonly string[] | null;
  readonly labels: Readonly<Record<string, string>> | null;
  readonly stopSignal: string;
  readonly stopTimeoutSeconds: number | null;
  readonly shell: readonly string[] | null;
  readonly onBuild: readonly string[] | null;
  readonly healthcheck: Healthcheck | null;
  readonly argsEscaped: boolean;
}

export interface HistoryEntry {
  /** RFC 3339, or empty. */
  readonly created: string;
  readonly createdBy: string;
  readonly author: string;
  readonly comment: string;
  readonly emptyLayer: boolean;
}

/** An image config (OCI image-spec config.md, docker image v1.2). */
export interface ImageConfig {
  /** RFC 3339, or null. */
  readonly created: string | null;
  readonly author: string;
  readonly comment: string;
  readonly dockerVersion: string;
  readonly architecture: string;
  readonly variant: string;
  readonly os: string;
  readonly osVersion: string;
  readonly osFeatures: readonly string[];
  /** False when the document has no `config` at all. */
  readonly hasDefaults: boolean;
  readonly defaults: ImageDefaults;
  readonly diffIds: readonly Digest[];
  readonly history: readonly HistoryEntry[];
}

export const EMPTY_DEFAULTS: ImageDefaults = {
  user: '',
  workingDir: '',
  exposedPorts: null,
  env: null,
  entrypoint: null,
  cmd: null,
  volumes: null,
  labels: null,
  stopSignal: '',
  stopTimeoutSeconds: null,
  shell: null,
  onBuild: null,
  healthcheck: null,
  argsEscaped: false,
};

const WHAT = 'image config';

function text(object: JsonObject, key: string): string {
  const value = property(object, key);
  if (value === undefined || value === null) return '';
  if (typeof value !== 'string') throw malformed(WHAT, `"${key}" is not a string`);
  return value;
}

function texts(object: JsonObject, key: string): string[] | null {
  const value = property(object, key);
  if (value === undefined || value === null) return null;
  // Old docker versions wrote a plain string for a one-word command.
  if (typeof value === 'string') return [value];
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'string')) {
    throw malformed(WHAT, `"${key}" is not a list of strings`);
  }
  return value;
}

function keys(object: JsonObject, key: string): string[] | null {
  const value = property(object, key);
  if (value === undefined || value === null) return null;
  if (!isJsonObject(value)) throw malformed(WHAT, `"${key}" is not an object`);
  return Object.keys(value);
}

function count(object: JsonObject, key: string): number {
  const value = property(object, key);
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : 0;
}

function parseHealthcheck(value: JsonValue | undefined): Healthcheck | null {
  if (!isJsonObject(value)) return null;
  return {
    test: texts(value, 'Test') ?? [],
    intervalNs: count(value, 'Interval'),
    timeoutNs: count(value, 'Timeout'),
    startPeriodNs: count(value, 'StartPeriod'),
    startIntervalNs: count(value, 'StartInterval'),
    retries: count(value, 'Retries'),
  };
}

/** The `config` member, or what a client sends in its place. Errors: `invalidArgument`. */
export function parseDefaults(value: JsonValue | undefined): ImageDefaults {
  if (value === undefined || value === null) return EMPTY_DEFAULTS;
  if (!isJsonObject(value)) throw malformed(WHAT, '"config" is not an object');
  const timeout = property(value, 'StopTimeout');
  const labels = property(value, 'Labels');
  return {
    user: text(value, 'User'),
    workingDir: text(value, 'WorkingDir'),
    exposedPorts: keys(value, 'ExposedPorts'),
    env: texts(value, 'Env'),
    entrypoint: texts(value, 'Entrypoint'),
    cmd: texts(value, 'Cmd'),
    volumes: keys(value, 'Volumes'),
    labels: isJsonObject(labels) ? stringMap(labels) : null,
    stopSignal: text(value, 'StopSignal'),
    stopTimeoutSeconds: typeof timeout === 'number' && Number.isSafeInteger(timeout) ? timeout : null,
    shell: texts(value, 'Shell'),
    onBuild: texts(value, 'OnBuild'),
    healthcheck: parseHealthcheck(property(value, 'Healthcheck')),
    argsEscaped: property(value, 'ArgsEscaped') === true,
  };
}

function parseHistory(value: JsonValue | undefined): HistoryEntry[] {
  if (!Array.isArray(value)) return [];
  return value.filter(isJsonObject).map((entry) => ({
    created: textProperty(entry, 'created') ?? '',
    createdBy: textProperty(entry, 'created_by') ?? '',
    author: textProperty(entry, 'author') ?? '',
    comment: textProperty(entry, 'comment') ?? '',
    emptyLayer: property(entry, 'empty_layer') === true,
  }));
}

function parseDiffIds(rootfs: JsonValue | undefined): Digest[] {
  if (rootfs === undefined || rootfs === null) return [];
  if (!isJsonObject(rootfs)) throw malformed(WHAT, '"rootfs" is not an object');
  const list = property(rootfs, 'diff_ids');
  if (list === undefined || list === null) return [];
  if (!Array.isArray(list)) throw malformed(WHAT, '"diff_ids" is not a list');
  if (list.length > LIMITS.layersPerImage) throw malformed(WHAT, `more than ${LIMITS.layersPerImage} layers`);
  return list.map(parseDigest);
}

/**
 * Unknown members are ignored; wrong types of known ones are refused. Errors: `invalidArgument`, `tooLarge`.
 */
export function parseImageConfig(bytes: Uint8Array): ImageConfig {
  checkSize(bytes);
  const value = readJson(bytes, { what: WHAT });
  if (!isJsonObject(value)) throw malformed(WHAT, 'not a JSON object');
  return configOf(value);
}

export interface NewConfigTexts {
  readonly noRootfs: string;
  readonly badDiffId: (layer: number, text: string, problem: string) => string;
}

/**
 * Of an image that is not here yet: every member that the reference knows has its type, and there are layers
 * to speak of. Errors: `JsonMistake`, `invalidArgument`, `tooLarge`.
 */
export function parseNewImageConfig(bytes: Uint8Array, texts: NewConfigTexts): ImageConfig {
  checkSize(bytes);
  const value = memberValues(readShaped(bytes, { what: WHAT, shape: imageShape }));
  const rootfs = property(value, 'rootfs');
  if (!isJsonObject(rootfs)) throw new EngineError('invalidArgument', texts.noRootfs);
  const diffIds = property(rootfs, 'diff_ids');
  for (const [i, id] of Array.isArray(diffIds) ? diffIds.entries() : [])
    if (!isDigest(id))
      throw new EngineError(
        'invalidArgument',
        texts.badDiffId(i, typeof id === 'string' ? id : '', digestProblem(id)),
      );
  return configOf(value);
}

function checkSize(bytes: Uint8Array): void {
  if (bytes.length > LIMITS.imageConfigBytes) {
    throw new EngineError('tooLarge', `image config is larger than ${LIMITS.imageConfigBytes} bytes`);
  }
}

function configOf(value: JsonObject): ImageConfig {
  const created = textProperty(value, 'created') ?? '';
  return {
    created: created === '' || Number.isNaN(Date.parse(created)) ? null : created,
    author: text(value, 'author'),
    comment: text(value, 'comment'),
    dockerVersion: text(value, 'docker_version'),
    architecture: text(value, 'architecture'),
    variant: text(value, 'variant'),
    os: text(value, 'os'),
    osVersion: text(value, 'os.version'),
    osFeatures: texts(value, 'os.features') ?? [],
    hasDefaults: isJsonObject(property(value, 'config')),
    defaults: parseDefaults(property(value, 'config')),
    diffIds: parseDiffIds(property(value, 'rootfs')),
    history: parseHistory(property(value, 'history')),
  };
}
