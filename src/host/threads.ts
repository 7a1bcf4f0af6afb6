/** Who goes first of this process's threads, where there are more of them than processors. */
export interface Threads {
  /** For a thread that works for long: the calling one gives way to all others. */
  giveWay(): void;
  /**
   * For the main thread: it is let in at once when it is woken, for a short while each time (Linux 6.12), and
   * V8's threads give way to it. Neither goes to children.
   */
  favourMain(): void;
}
