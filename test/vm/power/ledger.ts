/** What was acknowledged before the power was cut: name → id. Kept on the disk that outlives the cut. */
export interface Ledger {
  readonly created: Readonly<Record<string, string>>;
  readonly removed: readonly string[];
  /** Tag → digest of what the registry took. */
  readonly pushed: Readonly<Record<string, string>>;
}

export const DATA_ROOT = '/mnt/data-root';
export const REGISTRY_DATA = '/mnt/registry';
export const LEDGER = '/mnt/ledger.json';
/** The line that asks the machine's owner to cut the power. */
export const CUT = 'cut-power';
