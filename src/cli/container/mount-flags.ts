import { UsageError } from '../flags.ts';
import { parseSize } from '../values.ts';

interface MountBody {
  Type: string;
  Source?: string;
  Target?: string;
  ReadOnly?: boolean;
  Consistency?: string;
  BindOptions?: Record<string, unknown>;
  VolumeOptions?: Record<string, unknown>;
  TmpfsOptions?: Record<string, unknown>;
}

function yes(value: string, key: string): boolean {
  if (['', '1', 'true', 'True', 'TRUE', 't', 'T'].includes(value)) return true;
  if (['0', 'false', 'False', 'FALSE', 'f', 'F'].includes(value)) return false;
  throw new Error(`invalid value for ${key}: ${value}`);
}

type Setter = (mount: MountBody, value: string) => void;

/** Keys of `--mount`; the alternatives that the reference takes share a setter. */
const KEYS: Readonly<Record<string, Setter>> = {
  type: (mount, value) => {
    mount.Type = value.toLowerCase();
  },
  source: (mount, value) => {
    mount.Source = value;
  },
  target: (mount, value) => {
    mount.Target = value;
  },
  readonly: (mount, value) => {
    mount.ReadOnly = yes(value, 'readonly');
  },
  consistency: (mount, value) => {
    mount.Consistency = value.toLowerCase();
  },
  'bind-propagation': (mount, value) => {
    mount.BindOptions = { ...mount.BindOptions, Propagation: value.toLowerCase() };
  },
  'bind-create-src': (mount, value) => {
    mount.BindOptions = { ...mount.BindOptions, CreateMountpoint: yes(value, 'bind-create-src') };
  },
  'volume-nocopy': (mount, value) => {
    mount.VolumeOptions = { ...mount.VolumeOptions, NoCopy: yes(value, 'volume-nocopy') };
  },
  'volume-driver': (mount, value) => {
    mount.VolumeOptions = { ...mount.VolumeOptions, DriverConfig: { Name: value } };
  },
  'tmpfs-size': (mount, value) => {
    mount.TmpfsOptions = { ...mount.TmpfsOptions, SizeBytes: parseSize({ flag: '--mount', value }) };
  },
  'tmpfs-mode': (mount, value) => {
    mount.TmpfsOptions = { ...mount.TmpfsOptions, Mode: Number.parseInt(value, 8) };
  },
};
const SAME: Readonly<Record<string, string>> = {
  src: 'source',
  dst: 'target',
  destination: 'target',
  ro: 'readonly',
};

/** One `--mount`. Errors are worded as the reference's. Pure. */
export function parseMount(value: string): MountBody {
  const mount: MountBody = { Type: 'volume' };
  const refuse = (why: string): UsageError =>
    new UsageError(`invalid argument ${JSON.stringify(value)} for "--mount" flag: ${why}`);
  for (const field of value.split(',')) {
    const at = field.indexOf('=');
    const key = (at < 0 ? field : field.slice(0, at)).toLowerCase();
    const name = SAME[key] ?? key;
    const setter = Object.hasOwn(KEYS, name) ? KEYS[name] : undefined;
    if (at < 0 && name !== 'readonly' && !name.endsWith('nocopy')) {
      throw refuse(`invalid field '${field}' must be a key=value pair`);
    }
    if (setter === undefined) throw refuse(`unexpected key '${key}' in '${field}'`);
    try {
      setter(mount, at < 0 ? '' : field.slice(at + 1));
    } catch (error) {
      throw refuse(error instanceof Error ? error.message : String(error));
    }
  }
  if (mount.Target === undefined || mount.Target === '') throw refuse('target is required');
  return mount;
}
