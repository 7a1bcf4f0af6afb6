/** The memory of this process. */
export interface Memory {
  /**
   * Gives back what nobody needs now: holes between what is allocated, and pages of the program that were
   * used once. Some milliseconds; others go on meanwhile.
   */
  release(): void;
}
