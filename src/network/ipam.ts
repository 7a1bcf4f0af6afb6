import { EngineError } from '#base/errors.ts';
import {
  contains,
  formatAddress,
  lastOf,
  overlaps,
  prefixOf,
  requireInterface,
  type Address,
  type Prefix,
} from './address.ts';
import type { AddressPool } from './model.ts';

/** The reference's pools for networks that name no subnet. */
export const DEFAULT_ADDRESS_POOLS: readonly AddressPool[] = [
  { base: '172.17.0.0/16', size: 16 },
  { base: '172.18.0.0/16', size: 16 },
  { base: '172.19.0.0/16', size: 16 },
  { base: '172.20.0.0/14', size: 16 },
  { base: '172.24.0.0/14', size: 16 },
  { base: '172.28.0.0/14', size: 16 },
  { base: '192.168.0.0/16', size: 20 },
];

/** The first subnet of the pools that overlaps nothing in `taken`. */
export function firstFreeSubnet(pools: readonly AddressPool[], taken: readonly Prefix[]): Prefix {
  for (const pool of pools) {
    const { prefix } = requireInterface(pool.base, 'default-address-pools');
    const step = 1n << BigInt((prefix.family === 4 ? 32 : 128) - pool.size);
    for (let base = prefix.base; base <= lastOf(prefix); ) {
      const candidate = prefixOf({ family: prefix.family, value: base }, pool.size);
      const conflict = taken.find((other) => overlaps(candidate, other));
      if (conflict === undefined) return candidate;
      // Continue behind what is in the way, so that a taken 10.0.0.0/8 costs one step, not thousands.
      const behind = lastOf(conflict) + 1n;
      base = behind > base + step ? (behind + step - 1n) & ~(step - 1n) : base + step;
    }
  }
  throw new EngineError('invalidArgument', 'all predefined address pools have been fully subnetted');
}

export interface IpamPoolOptions {
  readonly subnet: Prefix;
  /** Where addresses come from unless one is asked for; the whole subnet by default. */
  readonly range?: Prefix | undefined;
  /** Never given out: gateway and auxiliary addresses. */
  readonly reserved: readonly Address[];
}

/**
 * Addresses of one subnet. Lowest free one first. A released address may be *resting*: its old link still
 * exists, and an address must not answer twice; it comes back with `rested`.
 */
export class IpamPool {
  readonly subnet: Prefix;
  readonly #range: Prefix;
  readonly #reserved: ReadonlySet<bigint>;
  readonly #taken = new Set<bigint>();
  readonly #resting = new Set<bigint>();
  /** Everything below is taken, reserved or resting: keeps 65,000 allocations from being quadratic. */
  #lowest: bigint;

  constructor(options: IpamPoolOptions) {
    this.subnet = options.subnet;
    this.#range = options.range ?? options.subnet;
    const edges = new Set(options.reserved.map((a) => a.value));
    // A /31 and /127 have no network and broadcast address; IPv6 has no broadcast, its first address is the
    // routers' anycast.
    const bits = options.subnet.family === 4 ? 32 : 128;
    if (bits - options.subnet.length > 1) {
      edges.add(options.subnet.base);
      if (options.subnet.family === 4) edges.add(lastOf(options.subnet));
    }
    this.#reserved = edges;
    this.#lowest = this.#range.base;
  }

  /** Errors: `invalidArgument` with the reference's words when nothing is left. */
  allocate(): Address {
    const last = lastOf(this.#range);
    for (let value = this.#lowest; value <= last; value++) {
      if (this.#reserved.has(value) || this.#taken.has(value) || this.#resting.has(value)) continue;
      this.#taken.add(value);
      this.#lowest = value + 1n;
      return { family: this.subnet.family, value };
    }
    throw new EngineError(
      'invalidArgument',
      `no available IPv${this.subnet.family} addresses on this network's address pools`,
      {
        hint: 'Remove containers, or give the bridge a larger subnet.',
      },
    );
  }

  /** One address by name, inside the subnet or not in the range. */
  request(address: Address): void {
    if (!contains(this.subnet, address)) {
      throw new EngineError(
        'invalidArgument',
        `no configured subnet contains IP address ${formatAddress(address)}`,
      );
    }
    if (this.#reserved.has(address.value) || this.#taken.has(address.value)) {
      throw new EngineError('permissionDenied', 'Address already in use');
    }
    this.#taken.add(address.value);
  }

  /** Takes an address that a running container has; false when somebody else already has it. */
  restore(address: Address): boolean {
    if (this.#taken.has(address.value)) return false;
    this.#taken.add(address.value);
    return true;
  }

  /** `rest`: not given out again before `rested`. */
  release(address: Address, options: { readonly rest: boolean }): void {
    if (!this.#taken.delete(address.value)) return;
    if (options.rest) this.#resting.add(address.value);
    else this.#lower(address.value);
  }

  rested(address: Address): void {
    if (this.#resting.delete(address.value)) this.#lower(address.value);
  }

  get restingCount(): number {
    return this.#resting.size;
  }

  isTaken(address: Address): boolean {
    return this.#taken.has(address.value);
  }

  #lower(value: bigint): void {
    if (value < this.#lowest && value >= this.#range.base) this.#lowest = value;
  }
}
