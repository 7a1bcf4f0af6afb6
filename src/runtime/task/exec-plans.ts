import { encodeLaunchPlan, type LaunchPlan } from '../launch-plan.ts';

export interface EncodedPlan {
  readonly plan: LaunchPlan;
  readonly bytes: Buffer;
}

const KEPT = 2;
const KEPT_BYTES = 16 * 1024;

/** The latest plans for execs in one task: health checks and tools run the same command again and again. */
export class ExecPlans {
  readonly #plans = new Map<string, EncodedPlan>();

  /** `key`: all that the plan depends on and that is not the same for the whole task. */
  get(key: string, make: () => LaunchPlan): EncodedPlan {
    const known = this.#plans.get(key);
    if (known !== undefined) return known;
    const plan = make();
    const bytes = encodeLaunchPlan(plan);
    const encoded = { plan, bytes };
    if (key.length + bytes.length > KEPT_BYTES) return encoded;
    const [oldest] = this.#plans.keys();
    if (this.#plans.size >= KEPT && oldest !== undefined) this.#plans.delete(oldest);
    this.#plans.set(key, encoded);
    return encoded;
  }
}
