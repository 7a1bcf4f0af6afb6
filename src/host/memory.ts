/** The memory of this process. */
export interface Memory {
  /**
   * Gives back what nobody needs now: holes between what is allocated, and pages of the program that were
   * used once. Some milliseconds, in which a thread that wants memory of the heap that is being looked
   * through has to wait for it.
   */
  release(): void;
}
