import type { ContainerId } from '#base/ids.ts';
import { LIMITS } from '#base/limits.ts';
import type { ContainerSpec, SpecInput } from '#runtime/spec.ts';

interface Draft {
  /** What the spec was built from. */
  readonly input: string;
  readonly spec: ContainerSpec;
}

/** Specs of containers that were just made and are started next, as a rule. The latest few. */
export class StartDrafts {
  readonly #drafts = new Map<ContainerId, Draft>();

  keep(id: ContainerId, input: SpecInput, spec: ContainerSpec): void {
    this.#drafts.set(id, { input: JSON.stringify(input), spec });
    const [oldest] = this.#drafts.keys();
    if (this.#drafts.size > LIMITS.startDrafts && oldest !== undefined) this.#drafts.delete(oldest);
  }

  /** For one start; undefined when there is none, or it was made from something else. */
  take(id: ContainerId, input: SpecInput): ContainerSpec | undefined {
    const draft = this.#drafts.get(id);
    this.#drafts.delete(id);
    return draft?.input === JSON.stringify(input) ? draft.spec : undefined;
  }
}
