/** What a client was promised. An operation is attempted first and acknowledged when its answer arrived. */
export type Progress = 'no' | 'attempted' | 'acknowledged';

export interface Entry {
  readonly name: string;
  /**
   * `sleeper` runs until it is removed, `exiter` ends by itself with `exitCode`, `vanisher` is an exiter with
   * auto-remove.
   */
  readonly kind: 'sleeper' | 'exiter' | 'vanisher';
  readonly exitCode: number;
  id: string | undefined;
  /** As `inspect` told it after an acknowledged start. */
  pid: number | undefined;
  create: Progress;
  start: Progress;
  stop: Progress;
  remove: Progress;
}

export class Ledger {
  readonly entries: Entry[] = [];
  /** Acknowledged operations, for the report. */
  acknowledged = 0;
  /** Answers that no client of a healthy engine gets. */
  readonly unexpected: string[] = [];

  add(entry: Pick<Entry, 'name' | 'kind' | 'exitCode'>): Entry {
    const full: Entry = {
      ...entry,
      id: undefined,
      pid: undefined,
      create: 'no',
      start: 'no',
      stop: 'no',
      remove: 'no',
    };
    this.entries.push(full);
    return full;
  }
}
