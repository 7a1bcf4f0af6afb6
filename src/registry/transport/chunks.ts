/** A body that is in memory; without arguments, an empty one. */
export async function* chunksOf<T extends Uint8Array>(...all: readonly T[]): AsyncGenerator<T> {
  yield* all;
}
