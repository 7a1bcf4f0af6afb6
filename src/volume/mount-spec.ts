import { posix } from 'node:path';
import { EngineError } from '#base/errors.ts';
import type { MountPoint, MountRequest } from './model.ts';
import { tmpfsMountOptions } from './tmpfs-options.ts';

/** From `-v` and `--mount` to mount points. Pure: whether a source exists is asked elsewhere. */

const PROPAGATIONS: ReadonlySet<string> = new Set([
  'private',
  'rprivate',
  'shared',
  'rshared',
  'slave',
  'rslave',
]);
const invalid = (message: string): EngineError => new EngineError('invalidArgument', message);
const invalidMount = (type: string, why: string): EngineError =>
  invalid(`invalid mount config for type "${type}": ${why}`);

const BASE: MountPoint = {
  type: 'bind',
  name: '',
  source: '',
  destination: '',
  readOnly: false,
  mode: '',
  propagation: '',
  driver: '',
  createSource: false,
  recursive: true,
  readOnlyNonRecursive: false,
  readOnlyForceRecursive: false,
  copyUp: false,
  subpath: '',
  anonymous: false,
  volumeLabels: null,
  volumeOptions: null,
  tmpfsOptions: [],
  fromTmpfsFlag: false,
};

function cleanPath(path: string): string {
  const normal = posix.normalize(path);
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}

/** The words of `-v`'s third part: at most one of each kind. */
export function isValidMode(mode: string): boolean {
  if (mode === '') return true;
  const kinds = new Set<string>();
  for (const word of mode.split(',')) {
    const kind =
      word === 'rw' || word === 'ro'
        ? 'access'
        : word === 'z' || word === 'Z'
          ? 'label'
          : word === 'nocopy'
            ? 'copy'
            : PROPAGATIONS.has(word)
              ? 'propagation'
              : ['consistent', 'cached', 'delegated'].includes(word)
                ? 'consistency'
                : '';
    if (kind === '' || kinds.has(kind)) return false;
    kinds.add(kind);
  }
  return true;
}

function requireTarget(type: string, target: string): void {
  if (target === '') throw invalidMount(type, 'field Target must not be empty');
  if (cleanPath(target) === '/') throw invalidMount(type, "invalid specification: destination can't be '/'");
  if (!target.startsWith('/'))
    throw invalidMount(type, `invalid mount path: '${target}' mount path must be absolute`);
}

function bindPoint(request: MountRequest, target: string): MountPoint {
  const source = request.Source ?? '';
  const options = request.BindOptions;
  if (source === '') throw invalidMount('bind', 'field Source must not be empty');
  const propagation = options?.Propagation ?? '';
  if (propagation !== '' && !PROPAGATIONS.has(propagation))
    throw invalidMount('bind', `invalid propagation mode: ${propagation}`);
  if (request.VolumeOptions !== undefined && request.VolumeOptions !== null)
    throw invalidMount('bind', 'field VolumeOptions must not be specified');
  if (!source.startsWith('/'))
    throw invalidMount('bind', `invalid mount path: '${source}' mount path must be absolute`);
  if (options?.ReadOnlyNonRecursive === true && options.ReadOnlyForceRecursive === true) {
    throw invalidMount('bind', 'mutually exclusive fields: ReadOnlyNonRecursive and ReadOnlyForceRecursive');
  }
  return {
    ...BASE,
    source: cleanPath(source),
    destination: cleanPath(target),
    readOnly: request.ReadOnly ?? false,
    propagation: propagation === '' ? 'rprivate' : propagation,
    createSource: options?.CreateMountpoint ?? false,
    recursive: options?.NonRecursive !== true,
    readOnlyNonRecursive: options?.ReadOnlyNonRecursive ?? false,
    readOnlyForceRecursive: options?.ReadOnlyForceRecursive ?? false,
  };
}

function volumePoint(request: MountRequest, target: string): MountPoint {
  const name = request.Source ?? '';
  const options = request.VolumeOptions;
  if (request.BindOptions !== undefined && request.BindOptions !== null)
    throw invalidMount('volume', 'field BindOptions must not be specified');
  const subpath = options?.Subpath ?? '';
  if (name === '' && subpath !== '')
    throw invalidMount('volume', 'must not set Subpath when using anonymous volumes');
  if (name === '' && request.ReadOnly === true)
    throw invalidMount('volume', 'must not set ReadOnly mode when using anonymous volumes');
  if (subpath !== '' && (subpath.startsWith('/') || subpath.split('/').includes('..'))) {
    throw invalidMount('volume', `subpath must be a relative path within the volume`);
  }
  if (subpath !== '') {
    throw new EngineError('notImplemented', 'a part of a volume cannot be mounted yet: mount it whole');
  }
  return {
    ...BASE,
    type: 'volume',
    name,
    destination: cleanPath(target),
    readOnly: request.ReadOnly ?? false,
    driver: options?.DriverConfig?.Name ?? '',
    copyUp: options?.NoCopy !== true,
    subpath,
    anonymous: name === '',
    volumeLabels: options?.Labels ?? null,
    volumeOptions: options?.DriverConfig?.Options ?? null,
  };
}

/** One entry of `HostConfig.Mounts`. */
export function mountPointOf(request: MountRequest): MountPoint {
  const type = request.Type ?? '';
  const target = request.Target ?? '';
  if (type !== 'bind' && type !== 'volume' && type !== 'tmpfs')
    throw invalidMount(type, 'mount type unknown');
  requireTarget(type, target);
  if (type === 'bind') return bindPoint(request, target);
  if (type === 'volume') return volumePoint(request, target);
  if (request.BindOptions !== undefined && request.BindOptions !== null)
    throw invalidMount(type, 'field BindOptions must not be specified');
  if (request.VolumeOptions !== undefined && request.VolumeOptions !== null)
    throw invalidMount(type, 'field VolumeOptions must not be specified');
  if ((request.Source ?? '') !== '') throw invalidMount(type, 'field Source must not be specified');
  const tmpfsOptions = tmpfsMountOptions(request.TmpfsOptions, request.ReadOnly ?? false);
  return {
    ...BASE,
    type: 'tmpfs',
    destination: cleanPath(target),
    readOnly: request.ReadOnly ?? false,
    tmpfsOptions,
  };
}

/** One `-v`: `source:target[:mode]`. */
export function bindOf(raw: string, volumeDriver: string): MountPoint {
  const wrong = (): EngineError => invalid(`invalid volume specification: '${raw}'`);
  const parts = raw.split(':');
  const [source = '', second = '', mode = ''] = parts;
  if (source === '' || parts.length > 3 || (parts.length === 2 && second !== '' && isValidMode(second)))
    throw wrong();
  if (!isValidMode(mode)) throw invalid(`invalid mode: ${mode}`);
  const words = mode.split(',');
  const propagation = words.find((word) => PROPAGATIONS.has(word));
  const isBind = parts.length > 1 && source.startsWith('/');
  const noCopy = words.includes('nocopy');
  const request: MountRequest = {
    Type: isBind ? 'bind' : 'volume',
    Source: parts.length > 1 ? source : '',
    Target: parts.length > 1 ? second : source,
    ReadOnly: words.includes('ro'),
    ...(propagation === undefined ? {} : { BindOptions: { Propagation: propagation } }),
    ...(isBind
      ? noCopy
        ? { VolumeOptions: { NoCopy: true } }
        : {}
      : { VolumeOptions: { NoCopy: noCopy, DriverConfig: { Name: volumeDriver } } }),
  };
  try {
    return { ...mountPointOf(request), mode, createSource: isBind };
  } catch (error) {
    if (error instanceof EngineError) throw invalid(`${wrong().message}: ${error.message}`);
    throw error;
  }
}

/** A volume of the container's own at a path, from `-v /path` or the image's VOLUME. */
export function anonymousVolume(path: string): MountPoint {
  requireTarget('volume', path);
  return {
    ...BASE,
    type: 'volume',
    destination: cleanPath(path),
    driver: 'local',
    copyUp: true,
    anonymous: true,
  };
}

export function tmpfsPoint(path: string, options: readonly string[]): MountPoint {
  if (!path.startsWith('/')) throw invalid(`invalid mount path: '${path}' mount path must be absolute`);
  if (cleanPath(path) === '/') throw invalid("invalid specification: destination can't be '/'");
  return { ...BASE, type: 'tmpfs', destination: cleanPath(path), tmpfsOptions: options, fromTmpfsFlag: true };
}
