/** Work that may run beside other work, in one of two classes. */
export interface Lane<T> {
  readonly items: readonly T[];
  /** How many items of this lane may run at once. */
  readonly width: number;
}

/**
 * Runs every item, at most `total` at once and of each lane at most its width; lanes named first go first.
 */
export async function runLanes<T>(
  lanes: readonly Lane<T>[],
  total: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const state = lanes.map((lane) => ({ waiting: [...lane.items], width: lane.width, running: 0 }));
  const next = async (): Promise<void> => {
    for (;;) {
      const lane = state.find(
        (candidate) => candidate.waiting.length > 0 && candidate.running < candidate.width,
      );
      const item = lane?.waiting.shift();
      if (lane === undefined || item === undefined) return;
      lane.running += 1;
      try {
        await work(item);
      } finally {
        lane.running -= 1;
      }
    }
  };
  await Promise.all(Array.from({ length: total }, next));
  // A worker leaves when every lane with work is full; the workers of that lane then finish it, so nothing is
  // left here.
  if (state.some((lane) => lane.waiting.length > 0)) throw new Error('the schedule left work undone');
}
