import type { SpecDeviceCgroup } from '#oci/runtime-spec.ts';
import { encodeState } from './device-rules/program.ts';
import { ACCESS, ANY, type DeviceException, deviceState } from './device-rules/state.ts';

/** One line to write to a file of a v1 devices cgroup. */
export interface DeviceWrite {
  readonly file: 'devices.deny' | 'devices.allow';
  readonly value: string;
}

function line({ type, major, minor, access }: DeviceException): string {
  const number = (value: number): string => (value === ANY ? '*' : String(value));
  const letters = (['r', 'w', 'm'] as const).filter((letter) => (access & ACCESS[letter]) !== 0).join('');
  return `${type} ${number(major)}:${number(minor)} ${letters}`;
}

/**
 * `linux.resources.devices` for cgroup v1, in order: the default first, which also forgets what was
 * inherited. To the rules come those that every container has. Errors: `invalidArgument` with the JSON path.
 */
export function deviceWrites(rules: readonly SpecDeviceCgroup[]): DeviceWrite[] {
  const { allowsByDefault, exceptions } = deviceState(rules);
  const [byDefault, other] = allowsByDefault
    ? (['devices.allow', 'devices.deny'] as const)
    : (['devices.deny', 'devices.allow'] as const);
  return [
    { file: byDefault, value: 'a *:* rwm' },
    ...exceptions.map((exception) => ({ file: other, value: line(exception) })),
  ];
}

/**
 * `linux.resources.devices` for cgroup v2: eBPF of type CGROUP_DEVICE, `struct bpf_insn` each, little-endian.
 * Rules and errors: as `deviceWrites`.
 */
export function deviceProgram(rules: readonly SpecDeviceCgroup[]): Uint8Array {
  return encodeState(deviceState(rules));
}

/** Rules as the host's cgroups take them: lines to write on v1, a program on v2. */
export type DeviceLimits = { readonly writes: readonly DeviceWrite[] } | { readonly program: Uint8Array };

/** `version`: of the hierarchy that limits devices; with both side by side that is v1. */
export function deviceLimits(
  version: 'v1' | 'v2' | 'hybrid',
  rules: readonly SpecDeviceCgroup[],
): DeviceLimits {
  return version === 'v2' ? { program: deviceProgram(rules) } : { writes: deviceWrites(rules) };
}
