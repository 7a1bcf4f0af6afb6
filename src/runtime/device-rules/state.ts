import { EngineError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import type { SpecDeviceCgroup } from '#oci/runtime-spec.ts';

export const ANY = -1;
/** BPF_DEVCG_ACC_*. */
export const ACCESS = { m: 1, r: 2, w: 4 } as const;
export const ALL_ACCESS = 7;
/** BPF_DEVCG_DEV_*. */
export const TYPES = { b: 1, c: 2 } as const;
export type NodeType = keyof typeof TYPES;

/** Devices for which the default does not hold. */
export interface DeviceException {
  readonly type: NodeType;
  /** A number or ANY. */
  readonly major: number;
  readonly minor: number;
  /** Of ACCESS, not 0. */
  readonly access: number;
}

export interface DeviceState {
  readonly allowsByDefault: boolean;
  /** By type, major, minor. */
  readonly exceptions: readonly DeviceException[];
}

interface Rule extends Omit<DeviceException, 'type'> {
  readonly allow: boolean;
  readonly type: NodeType | 'a';
  readonly path: string;
}

const PATH = 'linux.resources.devices';
const MAX_NUMBER = 0xffff_ffff;

function allowed(
  type: NodeType,
  [major, minor]: readonly [number, number],
  access: number = ALL_ACCESS,
): Rule {
  return { allow: true, type, major, minor, access, path: PATH };
}

/** What every container may do, whatever its specification says: mknod, and the devices that it needs. */
const ALWAYS: readonly Rule[] = [
  allowed('c', [ANY, ANY], ACCESS.m),
  allowed('b', [ANY, ANY], ACCESS.m),
  allowed('c', [1, 3]),
  allowed('c', [1, 8]),
  allowed('c', [1, 7]),
  allowed('c', [5, 0]),
  allowed('c', [1, 5]),
  allowed('c', [1, 9]),
  allowed('c', [136, ANY]),
  allowed('c', [5, 2]),
  allowed('c', [10, 200]),
];

function refuse(path: string, why: string): never {
  throw new EngineError('invalidArgument', `${path}: ${why}`);
}

function numberAt(value: unknown, path: string): number {
  if (value === undefined || value === null) return ANY;
  const isNumber =
    typeof value === 'number' && Number.isInteger(value) && value >= ANY && value <= MAX_NUMBER;
  return isNumber ? value : refuse(path, `not a device number: ${JSON.stringify(value)}`);
}

function accessAt(value: unknown, path: string): number {
  if (typeof value !== 'string' || !/^[rwm]+$/.test(value)) {
    return refuse(path, `not made of r, w and m: ${JSON.stringify(value)}`);
  }
  return [...value].reduce(
    (bits, letter) => bits | ACCESS[letter === 'r' ? 'r' : letter === 'w' ? 'w' : 'm'],
    0,
  );
}

function ruleAt(given: unknown, path: string): Rule {
  if (typeof given !== 'object' || given === null) return refuse(path, 'not an object');
  const rule: Readonly<Record<string, unknown>> = { ...given };
  const { allow, type = 'a' } = rule;
  if (typeof allow !== 'boolean') return refuse(`${path}.allow`, 'neither true nor false');
  const name = type === '' ? 'a' : type;
  if (name !== 'a' && name !== 'b' && name !== 'c') {
    return refuse(`${path}.type`, `not one of a, b and c: ${JSON.stringify(type)}`);
  }
  return {
    allow,
    type: name,
    major: numberAt(rule.major, `${path}.major`),
    minor: numberAt(rule.minor, `${path}.minor`),
    access: accessAt(rule.access, `${path}.access`),
    path,
  };
}

function compare(a: DeviceException, b: DeviceException): number {
  return TYPES[a.type] - TYPES[b.type] || a.major - b.major || a.minor - b.minor;
}

/** A cgroup v1's way to keep rules: a default, and exceptions from it. */
class Exceptions {
  allowsByDefault = false;
  readonly #exceptions = new Map<string, DeviceException>();

  apply(rule: Rule): void {
    const { allow, type, major, minor, access, path } = rule;
    if (type === 'a') {
      this.allowsByDefault = allow;
      this.#exceptions.clear();
    } else if (allow === this.allowsByDefault) {
      this.#remove({ type, major, minor, access }, path);
    } else {
      this.#set({ type, major, minor, access: access | this.#access(type, major, minor) });
    }
  }

  #access(type: NodeType, major: number, minor: number): number {
    return this.#exceptions.get(`${type} ${major}:${minor}`)?.access ?? 0;
  }

  #set(exception: DeviceException): void {
    const key = `${exception.type} ${exception.major}:${exception.minor}`;
    if (exception.access === 0) this.#exceptions.delete(key);
    else this.#exceptions.set(key, exception);
  }

  /** A kernel ignores the removal of a part of an exception, silently: that is refused. */
  #remove({ type, major, minor, access }: DeviceException, path: string): void {
    const wider = [
      [ANY, minor],
      [major, ANY],
      [ANY, ANY],
    ] as const;
    for (const [widerMajor, widerMinor] of wider) {
      const isSame = widerMajor === major && widerMinor === minor;
      if (!isSame && (this.#access(type, widerMajor, widerMinor) & access) !== 0) {
        refuse(path, 'a part of an earlier rule cannot be taken back');
      }
    }
    this.#set({ type, major, minor, access: this.#access(type, major, minor) & ~access });
  }

  sorted(): DeviceException[] {
    return [...this.#exceptions.values()].toSorted(compare);
  }
}

/** What the rules come to, in their order. Errors: `invalidArgument` with the JSON path. */
export function deviceState(rules: readonly SpecDeviceCgroup[]): DeviceState {
  if (rules.length > LIMITS.deviceRules) refuse(PATH, `more than ${LIMITS.deviceRules} rules`);
  const exceptions = new Exceptions();
  const own = rules.map((rule, i) => ruleAt(rule, `${PATH}[${i}]`));
  for (const rule of [...own, ...ALWAYS]) exceptions.apply(rule);
  return { allowsByDefault: exceptions.allowsByDefault, exceptions: exceptions.sorted() };
}
