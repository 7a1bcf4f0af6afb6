/** Links, addresses, routes and neighbours as plain data: what a network plan consists of. */

export interface Link {
  readonly index: number;
  readonly name: string;
  /** `bridge`, `veth`, …; empty for physical ones and `lo`. */
  readonly kind: string;
  readonly up: boolean;
  /** Lower-case, with colons; empty where a link has none. */
  readonly mac: string;
  readonly mtu: number;
  /** Index of the bridge it is enslaved to; 0: none. */
  readonly master: number;
  /** IFLA_IFALIAS: the engine writes the owner there; empty when unset. */
  readonly alias: string;
}

export interface AddressRecord {
  readonly linkIndex: number;
  readonly family: 4 | 6;
  readonly address: string;
  readonly prefixLength: number;
  readonly scope: 'global' | 'link' | 'host' | 'other';
}

export interface RouteRecord {
  readonly family: 4 | 6;
  /** `0.0.0.0/0`, `::/0` for the default route. */
  readonly destination: string;
  readonly gateway: string;
  readonly linkIndex: number;
  readonly table: number;
}

export type LinkOperation =
  | {
      readonly kind: 'addBridge';
      readonly name: string;
      readonly mac?: string;
      readonly mtu?: number;
      readonly alias?: string;
    }
  /**
   * Both ends in one message: the host end named, enslaved and up; the peer made inside the network namespace
   * with its name and MAC. The peer is still down.
   */
  | {
      readonly kind: 'addVeth';
      readonly name: string;
      readonly alias?: string;
      /** Name of the bridge. */
      readonly bridge?: string;
      /** With a bridge: frames may leave by the port that they came in. */
      readonly hairpin?: boolean;
      /** With a bridge: nothing goes from this port to others that are isolated. */
      readonly isolated?: boolean;
      readonly mtu?: number;
      readonly peer: { readonly netns: number; readonly name: string; readonly mac?: string };
    }
  | { readonly kind: 'removeLink'; readonly name: string }
  | { readonly kind: 'setUp'; readonly link: string }
  | { readonly kind: 'setDown'; readonly link: string }
  | { readonly kind: 'setAlias'; readonly link: string; readonly alias: string }
  | { readonly kind: 'setMaster'; readonly link: string; readonly bridge: string | null }
  | {
      readonly kind: 'setPort';
      readonly link: string;
      readonly hairpin?: boolean;
      readonly isolated?: boolean;
    }
  /** IPv6 addresses are usable at once (no duplicate detection). */
  | {
      readonly kind: 'addAddress' | 'removeAddress';
      readonly link: string;
      readonly address: string;
      readonly prefixLength: number;
    }
  /** `destination` in CIDR form; without a gateway the destination is on the link. */
  | {
      readonly kind: 'addRoute';
      readonly link: string;
      readonly destination: string;
      readonly gateway?: string;
    };
