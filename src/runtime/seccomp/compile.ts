import { EngineError } from '#base/errors.ts';
import type { SpecSeccomp } from '#oci/runtime-spec.ts';

export type SeccompArch = 'x86_64' | 'aarch64';

/** `flags` of seccomp(2) and the filter: `struct sock_filter`, each, little-endian. */
export interface SeccompProgram {
  readonly flags: number;
  readonly program: Uint8Array;
}

/** `linux.seccomp` as a filter. Errors: `invalidArgument` with the JSON path in the text. */
export function compileSeccomp(_seccomp: SpecSeccomp, _arch: SeccompArch): SeccompProgram {
  throw new EngineError('notImplemented', 'linux.seccomp cannot be compiled yet');
}
