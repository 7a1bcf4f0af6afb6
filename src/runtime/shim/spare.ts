import { closeSync } from 'node:fs';
import type { Kernel } from '#host/kernel.ts';
import { type NewShim, type ShimProgram, spawnShim } from './spawn.ts';

export interface ShimSourceOptions {
  readonly kernel: Pick<Kernel, 'processes' | 'sockets' | 'cgroups'>;
  readonly program: ShimProgram;
  /** Cgroup of all shims: `/gantry-<6 hex>/shims`. */
  readonly cgroup: string;
  /** How many are kept ready. */
  readonly spares: number;
}

/**
 * New shims. Some are kept ready: to be born takes one longer than anything else that a start waits for. They
 * belong to no container, hold nothing, and end with the connection to this process.
 */
export class ShimSource {
  readonly #options: ShimSourceOptions;
  readonly #spares = new Set<NewShim>();
  #hasCgroup = false;
  #isClosed = false;

  constructor(options: ShimSourceOptions) {
    this.#options = options;
  }

  /** One that is kept, or one that is about to be born. */
  take(): NewShim {
    for (const spare of this.#spares) {
      this.#spares.delete(spare);
      return spare;
    }
    return this.#spawn();
  }

  /** Sees to it that the next `take` finds one. */
  prepare(): void {
    if (this.#isClosed) return;
    while (this.#spares.size < this.#options.spares) this.#keep(this.#spawn());
  }

  close(): void {
    this.#isClosed = true;
    for (const spare of this.#spares) leave(spare);
    this.#spares.clear();
  }

  #keep(shim: NewShim): void {
    this.#spares.add(shim);
    const lost = (): void => {
      if (this.#spares.delete(shim)) leave(shim);
    };
    shim.socket.once('close', lost);
    shim.born.catch(lost);
    // It says nothing before it is asked, but its end would not be seen otherwise.
    shim.socket.on('error', () => undefined).resume();
  }

  #spawn(): NewShim {
    const { kernel, program, cgroup } = this.#options;
    this.#makeCgroup();
    return spawnShim(kernel, program, cgroup);
  }

  /**
   * Making what is there already waits for the kernel's lock over all groups, so it is done once; but it is
   * done, since a daemon that was killed while it made the group has left a part of it.
   */
  #makeCgroup(): void {
    const { kernel, cgroup } = this.#options;
    if (this.#hasCgroup && kernel.cgroups.exists(cgroup)) return;
    kernel.cgroups.create(cgroup);
    this.#hasCgroup = true;
  }
}

function leave({ socket, gifts }: NewShim): void {
  socket.destroy();
  closeSync(gifts);
}
