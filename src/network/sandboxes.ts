import { mkdirSync, symlinkSync, unlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { EngineError, errorCode, errorMessage } from '#base/errors.ts';
import { randomId } from '#base/ids.ts';
import type { Log } from '#base/log.ts';
import { Rollback } from '#base/rollback.ts';
import type { Kernel, NetworkSetup } from '#host/kernel.ts';
import { isUnspecified, parseAddress, parseMac, type Address } from './address.ts';
import type { AddressRest } from './address-rest.ts';
import type { BridgePlan } from './bridge-plan.ts';
import type { FirewallGuard } from './firewall-guard.ts';
import type { PortForward } from './firewall-plan.ts';
import type { IpamPool } from './ipam.ts';
import type {
  EndpointFacts,
  NetworkSettings,
  PublishedPort,
  Sandbox,
  SandboxFacts,
  SandboxRequest,
} from './model.ts';
import { portWishes } from './port-bindings.ts';
import type { PortClaims } from './port-claims.ts';
import {
  endpointFacts,
  LOOPBACK_UP,
  planHostSide,
  planInside,
  planSysctls,
  type EndpointInput,
} from './sandbox-plan.ts';

/** The default network at work. */
export interface BridgeNetwork {
  readonly id: string;
  readonly name: string;
  readonly plan: BridgePlan;
  readonly pool4: IpamPool;
  readonly pool6: IpamPool | null;
}

export interface SandboxesOptions {
  readonly kernel: Pick<Kernel, 'namespaces'>;
  readonly log: Log;
  readonly settings: NetworkSettings;
  readonly claims: PortClaims;
  readonly rest: AddressRest;
  /** Ids of the networks that need no work. */
  readonly plainNetworks: { readonly host: string; readonly none: string };
  /** Null with `--bridge none`: containers then have no network. */
  readonly bridge: BridgeNetwork | null;
  /** Null with `--iptables=false`. */
  readonly guard: FirewallGuard | null;
  readonly closeFd: (fd: number) => void;
  /** Whether the host speaks IPv6, so that ports are taken there, too. */
  readonly hostIpv6: boolean;
}

interface Live {
  facts: SandboxFacts;
  /** Ours to close until they are handed over. */
  fds: readonly number[];
  readonly addresses: readonly { readonly pool: IpamPool; readonly address: Address }[];
  /** Until it is connected. */
  connection: { readonly netnsFd: number; readonly setup: NetworkSetup } | null;
  /** Another thread is at work with the namespace's descriptor. */
  connecting: Promise<void> | null;
}

/** Where a published port leads, for each port that the container's address family can serve. */
export function forwardsOf(facts: SandboxFacts): PortForward[] {
  return Object.values(facts.endpoints).flatMap((endpoint) =>
    facts.ports.flatMap((port): PortForward[] => {
      const wanted = port.hostIp.includes(':') ? endpoint.ipv6Address : endpoint.ipv4Address;
      return wanted === '' ? [] : [{ ...port, containerIp: wanted }];
    }),
  );
}

/** Every container's network: prepared, connected, handed to its shim, taken back. */
export class Sandboxes {
  readonly #options: SandboxesOptions;
  readonly #live = new Map<string, Live>();
  /** An empty namespace: making one takes half a millisecond. */
  #spare: Promise<number> | null = null;
  #isClosed = false;

  constructor(options: SandboxesOptions) {
    this.#options = options;
  }

  all(): SandboxFacts[] {
    return [...this.#live.values()].map((live) => live.facts);
  }

  facts(containerId: string): SandboxFacts | undefined {
    return this.#live.get(containerId)?.facts;
  }

  renamed(containerId: string, name: string): void {
    const live = this.#live.get(containerId);
    if (live !== undefined) live.facts = { ...live.facts, name };
  }

  async prepare(request: SandboxRequest): Promise<Sandbox> {
    const { containerId, mode } = request;
    // A start that failed half-way, or an exit whose release has not come yet: nobody runs there now.
    if (this.#live.has(containerId)) await this.release(containerId);
    const { execRoot } = this.#options.settings;
    const sandboxId = randomId();
    const base = { containerId, name: request.name, sandboxId, mode, endpoints: {}, ports: [] };
    const keyed = { ...base, sandboxKey: join(execRoot, 'netns', sandboxId.slice(0, 12)) };
    if (mode === 'host') {
      const facts: SandboxFacts = {
        ...base,
        sandboxKey: join(execRoot, 'netns', 'default'),
        endpoints: { host: this.#plainEndpoint('host') },
      };
      return this.#enter(facts, { netnsFd: null, held: [], addresses: [], setup: {} });
    }
    if (mode === 'bridge' && this.#options.bridge !== null)
      return await this.#bridged(request, { facts: keyed, bridge: this.#options.bridge });
    const endpoints = mode === 'none' ? { none: this.#plainEndpoint('none') } : {};
    const facts: SandboxFacts = { ...keyed, endpoints };
    const netnsFd = await this.#namespace(request);
    return this.#enter(facts, { netnsFd, held: [], addresses: [], setup: { inside: LOOPBACK_UP } });
  }

  /**
   * What belongs into the namespace, and what leads to it. The rest of a start need not wait for it. Nothing
   * of a failure is undone but by `release`.
   */
  async connect(containerId: string): Promise<void> {
    const live = this.#live.get(containerId);
    const connection = live?.connection ?? null;
    if (live === undefined || connection === null) return;
    live.connection = null;
    live.connecting = this.#options.kernel.namespaces.connectNetwork(connection.netnsFd, connection.setup);
    await live.connecting;
    // It may have been released meanwhile.
    if (this.#live.get(containerId) === live)
      this.#options.guard?.publish(containerId, forwardsOf(live.facts));
  }

  handedOver(containerId: string, pid: number): void {
    const live = this.#live.get(containerId);
    if (live === undefined) return;
    for (const fd of live.fds) this.#options.closeFd(fd);
    live.fds = [];
    // Whoever waits for this start goes first.
    setImmediate(() => this.#keepSpare());
    this.#linkKey(live.facts.sandboxKey, live.facts.mode === 'host' ? 1 : pid);
  }

  async release(containerId: string): Promise<void> {
    const live = this.#live.get(containerId);
    if (live === undefined) return;
    this.#live.delete(containerId);
    await live.connecting?.catch(() => undefined);
    this.#options.guard?.withdraw(containerId);
    this.#options.claims.release(live.facts.ports);
    // The address rests until its link is gone: the kernel takes namespaces down later, and until then the
    // old one answers.
    const hostLink = Object.values(live.facts.endpoints).find(
      (endpoint) => endpoint.hostLink !== '',
    )?.hostLink;
    if (hostLink !== undefined) this.#options.rest.begin(hostLink, live.addresses);
    for (const fd of live.fds) this.#options.closeFd(fd);
    if (live.facts.mode !== 'host') this.#unlinkKey(live.facts.sandboxKey);
  }

  /** Takes over containers that ran on. Returns their forwards, for the firewall's first transaction. */
  restore(all: readonly SandboxFacts[]): Map<string, readonly PortForward[]> {
    const forwards = new Map<string, readonly PortForward[]>();
    for (const facts of all) {
      const addresses: { pool: IpamPool; address: Address }[] = [];
      for (const endpoint of Object.values(facts.endpoints)) {
        for (const [text, pool] of [
          [endpoint.ipv4Address, this.#options.bridge?.pool4],
          [endpoint.ipv6Address, this.#options.bridge?.pool6],
        ] as const) {
          const address = parseAddress(text);
          if (address === null || pool === null || pool === undefined) continue;
          if (pool.restore(address)) addresses.push({ pool, address });
          else
            this.#options.log.warn('two running containers claim one address', {
              container: facts.containerId,
              address: text,
            });
        }
      }
      this.#options.claims.restore(facts.ports);
      this.#live.set(facts.containerId, { facts, fds: [], addresses, connection: null, connecting: null });
      const own = forwardsOf(facts);
      if (own.length > 0) forwards.set(facts.containerId, own);
    }
    return forwards;
  }

  #plainEndpoint(name: 'host' | 'none'): EndpointFacts {
    return {
      networkId: this.#options.plainNetworks[name],
      networkName: name,
      endpointId: randomId(),
      macAddress: '',
      ipv4Address: '',
      ipv4PrefixLength: 0,
      gateway: '',
      ipv6Address: '',
      ipv6PrefixLength: 0,
      ipv6Gateway: '',
      hostLink: '',
    };
  }

  #enter(
    facts: SandboxFacts,
    kept: {
      netnsFd: number | null;
      held: readonly number[];
      addresses: Live['addresses'];
      setup: NetworkSetup;
    },
  ): Sandbox {
    const { netnsFd, held, addresses, setup } = kept;
    const fds = netnsFd === null ? held : [netnsFd, ...held];
    const connection = netnsFd === null ? null : { netnsFd, setup };
    this.#live.set(facts.containerId, { facts, fds, addresses, connection, connecting: null });
    return { ...facts, netnsFd, heldPorts: held };
  }

  async #bridged(
    request: SandboxRequest,
    context: { facts: SandboxFacts; bridge: BridgeNetwork },
  ): Promise<Sandbox> {
    const { claims, closeFd, settings, log } = this.#options;
    const { bridge } = context;
    await using rollback = new Rollback((error) =>
      log.warn('undoing a network failed', { error: errorMessage(error) }),
    );
    const addresses = this.#allocate(request, bridge);
    rollback.push(() => addresses.forEach(({ pool, address }) => pool.release(address, { rest: false })));
    const [ipv4, ipv6] = addresses;
    if (ipv4 === undefined) throw new EngineError('internal', 'no IPv4 address was allocated');
    const input: EndpointInput = {
      bridge: bridge.plan,
      instance: settings.instance,
      containerId: request.containerId,
      endpointId: randomId(),
      network: bridge,
      ipv4: ipv4.address,
      ipv6: ipv6?.address ?? null,
      mac: this.#wantedMac(request),
      icc: settings.icc !== false,
    };
    const endpoint = endpointFacts(input);
    const published = this.#publish(request, endpoint);
    rollback.push(() => {
      claims.release(published.ports);
      for (const fd of published.held) closeFd(fd);
    });
    const facts: SandboxFacts = {
      ...context.facts,
      endpoints: { [bridge.name]: endpoint },
      ports: published.ports,
    };
    const netnsFd = await this.#namespace(request);
    rollback.commit();
    const setup = {
      outside: planHostSide(input, endpoint, netnsFd),
      sysctls: planSysctls(endpoint),
      inside: planInside(endpoint),
    };
    return this.#enter(facts, { netnsFd, held: published.held, addresses, setup });
  }

  /** The one that is kept ready, if the container's is not to belong to a user namespace. */
  #namespace({ userns }: SandboxRequest): Promise<number> {
    const { namespaces } = this.#options.kernel;
    if (userns !== undefined) return namespaces.createNetwork({ userns });
    const spare = this.#spare;
    this.#spare = null;
    return spare ?? namespaces.createNetwork();
  }

  /** Sees to it that the next `prepare` finds a namespace. */
  #keepSpare(): void {
    if (this.#isClosed || this.#spare !== null) return;
    const spare = this.#options.kernel.namespaces.createNetwork();
    this.#spare = spare;
    spare.catch(() => {
      if (this.#spare === spare) this.#spare = null;
    });
  }

  close(): void {
    this.#isClosed = true;
    const spare = this.#spare;
    this.#spare = null;
    spare?.then(this.#options.closeFd, () => undefined);
  }

  #allocate(request: SandboxRequest, bridge: BridgeNetwork): { pool: IpamPool; address: Address }[] {
    const taken: { pool: IpamPool; address: Address }[] = [];
    const wanted = [
      [bridge.pool4, request.endpoint?.ipv4Address],
      [bridge.pool6, request.endpoint?.ipv6Address],
    ] as const;
    try {
      for (const [pool, text] of wanted) {
        if (pool !== null) taken.push({ pool, address: this.#address(pool, text ?? '') });
      }
    } catch (error) {
      for (const { pool, address } of taken) pool.release(address, { rest: false });
      throw error;
    }
    return taken;
  }

  #address(pool: IpamPool, text: string): Address {
    if (text === '') return pool.allocate();
    const address = parseAddress(text);
    if (address === null || address.family !== pool.subnet.family || isUnspecified(address)) {
      throw new EngineError('invalidArgument', `invalid IPv${pool.subnet.family} address: ${text}`);
    }
    pool.request(address);
    return address;
  }

  #wantedMac(request: SandboxRequest): string | null {
    const text = request.endpoint?.macAddress ?? '';
    if (text === '') return null;
    const mac = parseMac(text);
    if (mac === null) throw new EngineError('invalidArgument', `invalid MAC address: ${text}`);
    return mac;
  }

  #publish(
    request: SandboxRequest,
    endpoint: EndpointFacts,
  ): { ports: readonly PublishedPort[]; held: readonly number[] } {
    const { claims, settings, hostIpv6 } = this.#options;
    try {
      const wishes = portWishes({
        portBindings: request.portBindings ?? {},
        exposedPorts: request.exposedPorts ?? [],
        publishAll: request.publishAll ?? false,
        defaultHostIp: settings.defaultHostIp ?? '',
        ipv6: hostIpv6,
      });
      return claims.claim(wishes, endpoint.ipv4Address);
    } catch (error) {
      const where = `driver failed programming external connectivity on endpoint ${request.name} (${endpoint.endpointId})`;
      const kind = error instanceof EngineError ? error.kind : 'internal';
      throw new EngineError(kind, `failed to set up container networking: ${where}: ${errorMessage(error)}`, {
        cause: error,
      });
    }
  }

  #linkKey(path: string, pid: number): void {
    const target = `/proc/${pid}/ns/net`;
    try {
      symlinkSync(target, path);
    } catch (error) {
      this.#linkKeyAgain(path, target, error);
    }
  }

  /** The directory is missing, or the name is taken: every container of the host's network has the same. */
  #linkKeyAgain(path: string, target: string, first: unknown): void {
    try {
      if (errorCode(first) === 'ENOENT') mkdirSync(dirname(path), { recursive: true, mode: 0o711 });
      else unlinkSync(path);
      symlinkSync(target, path);
    } catch (error) {
      this.#options.log.warn('the sandbox key could not be made', { path, error: errorMessage(error) });
    }
  }

  #unlinkKey(path: string): void {
    try {
      unlinkSync(path);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
    }
  }
}
