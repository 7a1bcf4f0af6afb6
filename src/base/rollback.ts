type Undo = () => void | Promise<void>;

/**
 * Undo steps of an operation in progress, run last first unless it was committed. Push the undo right after
 * the effect.
 *
 *     await using rollback = new Rollback(onError);
 *     await makeThing(); rollback.push(removeThing);
 *     rollback.commit();
 */
export class Rollback implements AsyncDisposable {
  #steps: Undo[] = [];
  readonly #onError: (error: unknown) => void;

  /** `onError` hears of an undo step that failed; the other steps run all the same. */
  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  push(undo: Undo): void {
    this.#steps.push(undo);
  }

  commit(): void {
    this.#steps = [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const steps = this.#steps.reverse();
    this.#steps = [];
    for (const undo of steps) {
      try {
        await undo();
      } catch (error) {
        this.#onError(error);
      }
    }
  }
}
