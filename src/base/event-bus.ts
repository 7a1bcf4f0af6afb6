type Listener<T> = (event: T) => void;

/** Broadcasts facts. Nothing acts because of an event: the exit path and the like are direct calls. */
export class EventBus<T> {
  readonly #listeners = new Set<Listener<T>>();

  /** Returns the function that ends the subscription. */
  subscribe(listener: Listener<T>): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  publish(event: T): void {
    for (const listener of [...this.#listeners]) listener(event);
  }
}
