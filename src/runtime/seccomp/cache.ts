import { createHash } from 'node:crypto';
import type { SpecSeccomp } from '#oci/runtime-spec.ts';
import { compileSeccomp, type SeccompArch, type SeccompProgram } from './compile.ts';

/** What a filter depends on: the rules (capabilities have chosen them already) and the architecture. */
export function seccompKey(seccomp: SpecSeccomp, arch: SeccompArch): string {
  return createHash('sha256')
    .update(`${arch}\n${JSON.stringify(seccomp)}`)
    .digest('base64');
}

/** Compiled filters, the last used ones; nearly every container has one of a few. */
export class SeccompCache {
  readonly #programs = new Map<string, SeccompProgram>();
  readonly #capacity: number;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  program(seccomp: SpecSeccomp, arch: SeccompArch): SeccompProgram {
    const key = seccompKey(seccomp, arch);
    const program = this.#programs.get(key) ?? compileSeccomp(seccomp, arch);
    this.#programs.delete(key);
    this.#programs.set(key, program);
    const [oldest] = this.#programs.keys();
    if (this.#programs.size > this.#capacity && oldest !== undefined) this.#programs.delete(oldest);
    return program;
  }
}
