import { EngineError } from '#base/errors.ts';
import { type LaunchPlan, MAX_SLOTS, NO_SLOT, type Operation, SLOT } from './operations.ts';

/** The three lists while they grow, and the next free slot. */
export class PlanBuilder {
  readonly before: Operation[] = [];
  readonly parent: Operation[] = [];
  readonly child: Operation[] = [];
  #next: number = SLOT.first;

  /** A slot of the plan's own; `from` is the member of the spec that needs it. */
  slot(from: string): number {
    if (this.#next >= MAX_SLOTS) throw invalid(from, `needs more than ${MAX_SLOTS} open files`);
    this.#next += 1;
    return this.#next - 1;
  }

  /** A detached copy of the tree at a host path. */
  hostTree(path: string, options: { readonly recursive: boolean; readonly from: string }): number {
    const slot = this.slot(options.from);
    const recursive = options.recursive ? 1 : 0;
    this.before.push({ op: 'openTree', slot, at: NO_SLOT, path, recursive, from: options.from });
    return slot;
  }

  /** A descriptor of a host path. */
  hostFile(path: string, options: { readonly flags: number; readonly from: string }): number {
    const slot = this.slot(options.from);
    const { flags, from } = options;
    this.before.push({ op: 'open', slot, at: NO_SLOT, path, flags, mode: 0, resolve: 0, from });
    return slot;
  }

  plan(): LaunchPlan {
    return { before: this.before, parent: this.parent, child: this.child };
  }
}

/** A refusal that names the member of the spec. */
export function invalid(path: string, message: string): EngineError {
  return new EngineError('invalidArgument', `${path}: ${message}`);
}

export interface AttributeChange {
  /** MOUNT_ATTR_*. */
  readonly set?: number;
  readonly clear?: number;
  /** MS_*. */
  readonly propagation?: number;
  readonly recursive?: number;
  readonly userns?: number;
  /** In the ROOT that the slot is; default: what the slot itself is. */
  readonly path?: string;
}

const NO_CHANGE = { path: '', set: 0, clear: 0, propagation: 0, recursive: 0, userns: NO_SLOT } as const;

/** `setMountAttributes` on the mount in a slot, with what is not said left as it is. */
export function mountAttributes(slot: number, change: AttributeChange, from: string): Operation {
  return { op: 'setMountAttributes', at: slot, ...NO_CHANGE, ...change, from };
}
