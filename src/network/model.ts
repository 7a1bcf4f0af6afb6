/** The network room's vocabulary: plain data, no behaviour. */

export type Protocol = 'tcp' | 'udp' | 'sctp';

/** What the daemon's flags and configuration file say about the default network. */
export interface NetworkSettings {
  /** 64 hexadecimal digits, the data root's own; every kernel object's name derives from it. */
  readonly instance: string;
  readonly dataRoot: string;
  readonly execRoot: string;
  /**
   * `--bridge`: an existing bridge by name, `none` for no default network, undefined for a bridge of our own.
   */
  readonly bridge?: string | undefined;
  /** `--bip`, `--bip6`: address and prefix of the bridge, such as `10.9.0.1/24`. */
  readonly bip?: string | undefined;
  readonly bip6?: string | undefined;
  /** `--fixed-cidr`, `--fixed-cidr-v6`: the part of the subnet that containers get addresses from. */
  readonly fixedCidr?: string | undefined;
  readonly fixedCidrV6?: string | undefined;
  readonly defaultGateway?: string | undefined;
  readonly defaultGatewayV6?: string | undefined;
  readonly ipv6?: boolean | undefined;
  /** 0 or undefined: 1500. */
  readonly mtu?: number | undefined;
  /** `--iptables`, `--ip6tables`: false keeps us away from the firewall altogether. */
  readonly iptables?: boolean | undefined;
  readonly ip6tables?: boolean | undefined;
  readonly ipForward?: boolean | undefined;
  readonly ipForwardNoDrop?: boolean | undefined;
  readonly ipMasquerade?: boolean | undefined;
  readonly icc?: boolean | undefined;
  /** `--ip`: address that ports are published on when a binding names none. */
  readonly defaultHostIp?: string | undefined;
  readonly addressPools?: readonly AddressPool[] | undefined;
  /** How far we go where other people's firewall chains drop our traffic. */
  readonly firewall?: 'own' | 'respect' | undefined;
}

export interface AddressPool {
  readonly base: string;
  /** Prefix length of each network cut from the pool. */
  readonly size: number;
}

/** One `-p`: as the API carries it. `hostPort` may be empty (any free one) or a range `8000-8010`. */
export interface PortBinding {
  readonly hostIp: string;
  readonly hostPort: string;
}

/** A port as it was published in the end. */
export interface PublishedPort {
  readonly protocol: Protocol;
  readonly containerPort: number;
  readonly hostIp: string;
  readonly hostPort: number;
}

export type NetworkMode = 'bridge' | 'host' | 'none';

export interface EndpointSettings {
  readonly ipv4Address?: string | undefined;
  readonly ipv6Address?: string | undefined;
  readonly macAddress?: string | undefined;
}

export interface SandboxRequest {
  readonly containerId: string;
  /** The container's name without a slash: error texts say it. */
  readonly name: string;
  readonly mode: NetworkMode;
  readonly endpoint?: EndpointSettings | undefined;
  /** `80/tcp` (or `80`) → bindings, as in `HostConfig.PortBindings`. */
  readonly portBindings?: Readonly<Record<string, readonly PortBinding[] | null>> | undefined;
  /**
   * `80/tcp`, …: only exposed ports are published, as in the reference; with `publishAll` each gets a free
   * host port.
   */
  readonly exposedPorts?: readonly string[] | undefined;
  readonly publishAll?: boolean | undefined;
  /** Open user namespace that the container's network is to belong to. */
  readonly userns?: number;
}

/**
 * Facts of one endpoint: what inspect shows and what a restart of the daemon needs. JSON-safe, kept in the
 * container's record.
 */
export interface EndpointFacts {
  readonly networkId: string;
  readonly networkName: string;
  readonly endpointId: string;
  readonly macAddress: string;
  readonly ipv4Address: string;
  readonly ipv4PrefixLength: number;
  readonly gateway: string;
  readonly ipv6Address: string;
  readonly ipv6PrefixLength: number;
  readonly ipv6Gateway: string;
  /** Name of our end of the veth pair; empty on host and none. */
  readonly hostLink: string;
}

/** What `restore` needs back about a container that runs on; JSON-safe. */
export interface SandboxFacts {
  readonly containerId: string;
  readonly name: string;
  /** 64 hexadecimal digits. */
  readonly sandboxId: string;
  /** `<exec-root>/netns/<first twelve digits>`, or `…/default` on the host's network. */
  readonly sandboxKey: string;
  readonly mode: NetworkMode;
  /** By network name. */
  readonly endpoints: Readonly<Record<string, EndpointFacts>>;
  readonly ports: readonly PublishedPort[];
}

export interface Sandbox extends SandboxFacts {
  /**
   * The container's network namespace; null on the host's network. The caller gives it to the shim, then
   * calls `handedOver`.
   */
  readonly netnsFd: number | null;
  /**
   * Sockets bound to the published ports. The shim inherits them, so that the ports stay taken while no
   * daemon runs.
   */
  readonly heldPorts: readonly number[];
}

/** One network, in the words of the API's `Network`. */
export interface NetworkView {
  readonly Name: string;
  readonly Id: string;
  readonly Created: string;
  readonly Scope: string;
  readonly Driver: string;
  readonly EnableIPv4: boolean;
  readonly EnableIPv6: boolean;
  readonly IPAM: {
    readonly Driver: string;
    readonly Options: Readonly<Record<string, string>> | null;
    readonly Config:
      | readonly { readonly Subnet: string; readonly IPRange?: string; readonly Gateway?: string }[]
      | null;
  };
  readonly Internal: boolean;
  readonly Attachable: boolean;
  readonly Ingress: boolean;
  readonly ConfigFrom: { readonly Network: string };
  readonly ConfigOnly: boolean;
  readonly Containers: Readonly<Record<string, NetworkContainerView>>;
  readonly Options: Readonly<Record<string, string>>;
  readonly Labels: Readonly<Record<string, string>>;
}

export interface NetworkContainerView {
  readonly Name: string;
  readonly EndpointID: string;
  readonly MacAddress: string;
  readonly IPv4Address: string;
  readonly IPv6Address: string;
}

/** What other people's firewall does to our traffic, for `info` and the log. */
export interface FirewallFinding {
  readonly table: string;
  readonly chain: string;
  readonly text: string;
}
