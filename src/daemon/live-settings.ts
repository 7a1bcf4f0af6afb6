import type { DaemonConfig } from './config.ts';

/** What SIGHUP reads again. */
export type LiveValues = Pick<DaemonConfig, 'debug' | 'logLevel' | 'labels' | 'registries'>;

const LIVE: ReadonlySet<string> = new Set([
  'debug',
  'logLevel',
  'labels',
  'registries',
] satisfies (keyof LiveValues)[]);

/** The values that may change while the daemon runs. */
export class LiveSettings {
  #config: DaemonConfig;

  constructor(config: DaemonConfig) {
    this.#config = config;
  }

  get now(): LiveValues {
    return this.#config;
  }

  /** Takes the new values over; returns what changed besides, which takes a restart. */
  replace(next: DaemonConfig): readonly string[] {
    const before = this.#config;
    const differs = (key: keyof DaemonConfig): boolean =>
      JSON.stringify(before[key]) !== JSON.stringify(next[key]);
    const { debug, logLevel, labels, registries } = next;
    this.#config = { ...before, debug, logLevel, labels, registries };
    return (Object.keys(next) as (keyof DaemonConfig)[]).filter((key) => !LIVE.has(key) && differs(key));
  }
}
