/** Who goes first of this process's threads, where there are more of them than processors. */
export interface Threads {
  /** For a thread that works for long: the calling one gives way to all others. */
  giveWay(): void;
  /**
   * For the main thread: it is let in at once when it is woken, for a short while each time (Linux 6.12).
   * That does not go to children.
   */
  favourMain(): void;
  /**
   * For the main thread, while threads of ours take all processors: whenever it has something to do, it does
   * that before anybody of ordinary priority, and V8's threads, which it waits for, come next; until the
   * answer is called. Not for long without need: everybody on the machine waits for it. Does not go to
   * children or new threads either. It can be asked for several times, after `favourMain`.
   */
  mainFirst(): () => void;
}
