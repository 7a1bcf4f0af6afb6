/**
 * nftables objects and rules as plain data: what a firewall plan consists of. The encoder is the host room's
 * own.
 */

export type TableFamily = 'ip' | 'ip6' | 'inet' | 'arp' | 'bridge' | 'netdev';

export interface TableAddress {
  readonly family: TableFamily;
  readonly name: string;
}

export type Hook = 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting';

export interface BaseChain {
  readonly type: 'filter' | 'nat' | 'route';
  readonly hook: Hook;
  readonly priority: number;
  readonly policy?: 'accept' | 'drop';
}

/** Types of set keys and data; a list is a concatenation. `verdict` is for data only. */
export type KeyType =
  | 'ipv4_addr'
  | 'ipv6_addr'
  | 'inet_proto'
  | 'inet_service'
  | 'mark'
  | 'ifname'
  | 'ether_addr';

export type Verdict =
  | { readonly verdict: 'accept' | 'drop' | 'return' | 'continue' }
  | { readonly verdict: 'jump' | 'goto'; readonly chain: string };

/**
 * One field of a key: addresses as text, ports, protocols and marks as numbers, interface names and MACs as
 * text.
 */
export type KeyField = string | number;

export interface SetElement {
  readonly key: readonly KeyField[];
  /** Of a map: fields like the key's, or a verdict. */
  readonly data?: readonly KeyField[] | Verdict;
  readonly comment?: string;
}

/**
 * One step of a rule. Values travel through sixteen 32-bit slots, `slot` 0 to 15: an IPv4 address, a port, a
 * protocol or a mark takes one, an IPv6 address or an interface name four. Slot 0 is the default.
 * Concatenated keys lie in neighbouring slots.
 */
export type Expression =
  | { readonly kind: 'meta'; readonly key: MetaKey; readonly slot?: number }
  | { readonly kind: 'setMark'; readonly slot?: number }
  | { readonly kind: 'payload'; readonly field: PayloadField; readonly slot?: number }
  | { readonly kind: 'ct'; readonly key: 'state' | 'status' | 'mark'; readonly slot?: number }
  /** The address type of the destination (`local` is 2), as `fib daddr type`. */
  | { readonly kind: 'fib'; readonly of: 'daddr' | 'saddr'; readonly slot?: number }
  | { readonly kind: 'bitwise'; readonly mask: Buffer; readonly xor?: Buffer; readonly slot?: number }
  | {
      readonly kind: 'compare';
      readonly op: 'eq' | 'neq' | 'lt' | 'lte' | 'gt' | 'gte';
      readonly value: Buffer;
      readonly slot?: number;
    }
  /**
   * Continues only if the slots' value is in the set; with `data` it is a map and the found data go to that
   * slot.
   */
  | {
      readonly kind: 'lookup';
      readonly set: string;
      readonly slot?: number;
      readonly data?: number;
      readonly invert?: boolean;
    }
  /** A verdict map: the found verdict is carried out. */
  | { readonly kind: 'verdictMap'; readonly set: string; readonly slot?: number }
  | { readonly kind: 'immediate'; readonly value: Buffer; readonly slot?: number }
  | {
      readonly kind: 'dnat' | 'snat';
      readonly family: 4 | 6;
      readonly address: number;
      readonly port?: number;
    }
  | { readonly kind: 'masquerade'; readonly random?: boolean }
  | { readonly kind: 'redirect'; readonly port: number }
  | { readonly kind: 'counter' }
  | { readonly kind: 'log'; readonly prefix: string }
  | { readonly kind: 'reject' }
  | ({ readonly kind: 'verdict' } & Verdict);

export type MetaKey =
  | 'iifname'
  | 'oifname'
  | 'iif'
  | 'oif'
  | 'l4proto'
  | 'nfproto'
  | 'mark'
  | 'protocol'
  | 'pkttype';

export type PayloadField =
  | 'ip saddr'
  | 'ip daddr'
  | 'ip protocol'
  | 'ip6 saddr'
  | 'ip6 daddr'
  | 'th sport'
  | 'th dport'
  | 'ether saddr'
  | 'ether daddr';

export type FirewallOperation =
  /** Existing tables stay as they are. */
  | { readonly kind: 'addTable'; readonly table: TableAddress }
  | { readonly kind: 'deleteTable'; readonly table: TableAddress }
  | {
      readonly kind: 'addChain';
      readonly table: TableAddress;
      readonly chain: string;
      readonly base?: BaseChain;
    }
  | { readonly kind: 'flushChain'; readonly table: TableAddress; readonly chain: string }
  | { readonly kind: 'deleteChain'; readonly table: TableAddress; readonly chain: string }
  | {
      readonly kind: 'addSet';
      readonly table: TableAddress;
      readonly set: string;
      readonly key: readonly KeyType[];
      /** Makes it a map. */
      readonly data?: readonly KeyType[] | 'verdict';
    }
  | { readonly kind: 'deleteSet'; readonly table: TableAddress; readonly set: string }
  | { readonly kind: 'flushSet'; readonly table: TableAddress; readonly set: string }
  | {
      /**
       * The types are repeated here so that the encoding needs no look-up. Adding what is there is no error.
       */
      readonly kind: 'addElements' | 'deleteElements';
      readonly table: TableAddress;
      readonly set: string;
      readonly key: readonly KeyType[];
      readonly data?: readonly KeyType[] | 'verdict';
      readonly elements: readonly SetElement[];
    }
  | {
      readonly kind: 'addRule';
      readonly table: TableAddress;
      readonly chain: string;
      readonly expressions: readonly Expression[];
      /** Shown by `nft list`; at most 128 bytes. */
      readonly comment?: string;
      /** At the head of the chain. */
      readonly insert?: boolean;
    }
  | {
      readonly kind: 'deleteRule';
      readonly table: TableAddress;
      readonly chain: string;
      readonly handle: bigint;
    };

export interface ChainRecord {
  readonly table: TableAddress;
  readonly name: string;
  readonly base: BaseChain | null;
}

export interface RuleRecord {
  readonly table: TableAddress;
  readonly chain: string;
  readonly handle: bigint;
  readonly comment: string;
}

export interface FirewallDump {
  readonly chains: readonly ChainRecord[];
  readonly rules: readonly RuleRecord[];
}

/**
 * Tracked connections: those to `port` of `protocol` (as the originator sent it), or those of an address on
 * either side.
 */
export interface ConnectionFilter {
  readonly protocol?: 'tcp' | 'udp' | 'sctp';
  readonly port?: number;
  readonly address?: string;
}
