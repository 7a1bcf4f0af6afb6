import { EngineError } from '#base/errors.ts';
import type { SpecDeviceCgroup } from '#oci/runtime-spec.ts';

/** One line to write to a file of a v1 devices cgroup. */
export interface DeviceWrite {
  readonly file: 'devices.deny' | 'devices.allow';
  readonly value: string;
}

/** `linux.resources.devices` for cgroup v1, in order. Errors: `invalidArgument` with the JSON path. */
export function deviceWrites(_rules: readonly SpecDeviceCgroup[]): DeviceWrite[] {
  throw new EngineError('notImplemented', 'linux.resources.devices cannot be compiled yet');
}

/**
 * `linux.resources.devices` for cgroup v2: eBPF of type CGROUP_DEVICE, `struct bpf_insn` each, little-endian.
 * Errors: as `deviceWrites`.
 */
export function deviceProgram(_rules: readonly SpecDeviceCgroup[]): Uint8Array {
  throw new EngineError('notImplemented', 'linux.resources.devices cannot be compiled yet');
}
