import type { FirewallFinding, NetworkView, Sandbox, SandboxFacts, SandboxRequest } from './model.ts';

/** The network room's face. Construction: `createNetworkService` in `network-service.ts`. */
export interface NetworkService {
  /** Makes or adopts the default bridge and writes the firewall table. */
  boot(): Promise<void>;
  /**
   * Takes over what ran on while no daemon lived, before anything new is prepared: addresses and ports are
   * taken again, the firewall elements written. `facts` come from the containers' records or running state.
   */
  restore(facts: readonly SandboxFacts[]): Promise<void>;
  /**
   * Removes links and firewall elements of our instance that no restored or prepared sandbox names. Returns
   * what went.
   */
  sweep(): Promise<readonly string[]>;
  /** bridge, host, none; `Containers` filled only by inspect. */
  list(): readonly NetworkView[];
  /** By name, id or unambiguous prefix of the id. Errors: `notFound`. */
  inspect(nameOrId: string): NetworkView;
  readonly sandbox: {
    /**
     * Addresses, held ports, and a namespace that has nothing in it yet. Errors carry the reference's text;
     * everything is undone then.
     */
    prepare(request: SandboxRequest): Promise<Sandbox>;
    /**
     * Once, after `prepare`: links, addresses, routes, and what leads to published ports. A start may go on
     * meanwhile, up to the program itself. After a failure there is `release`.
     */
    connect(containerId: string): Promise<void>;
    /**
     * The shim holds namespace and ports now: our copies of the descriptors are closed, and the sandbox key
     * becomes a symbolic link to the network namespace of `pid`.
     */
    handedOver(containerId: string, pid: number): void;
    /**
     * After the exit, or when a start failed. Idempotent, does not wait for the kernel to remove the link.
     */
    release(containerId: string): Promise<void>;
    facts(containerId: string): SandboxFacts | undefined;
    renamed(containerId: string, name: string): void;
  };
  /** Address that `host-gateway` in `--add-host` stands for; empty without a default bridge. */
  hostGateway(): string;
  findings(): readonly FirewallFinding[];
  /** True when the kernel forwards packets (for `info`). */
  forwarding(): { readonly ipv4: boolean; readonly ipv6: boolean };
  /** Ends watching; nothing is taken down, containers keep their network. */
  close(): Promise<void>;
}
