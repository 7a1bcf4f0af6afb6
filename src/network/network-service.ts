import { closeSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { EngineError, errorMessage } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import type { Kernel } from '#host/kernel.ts';
import type { Link } from '#host/link-operations.ts';
import { formatAddress, type Prefix } from './address.ts';
import { AddressRest } from './address-rest.ts';
import { planBridge, type BridgeFamily, type BridgePlan } from './bridge-plan.ts';
import { FirewallGuard } from './firewall-guard.ts';
import { IpamPool } from './ipam.ts';
import type { NetworkSettings, NetworkView, SandboxFacts } from './model.ts';
import { containerOfAlias, instanceName } from './names.ts';
import { networkRecords, type NetworkRecord } from './network-record.ts';
import { containersIn, networkViews } from './network-view.ts';
import { PortClaims } from './port-claims.ts';
import { Sandboxes, type BridgeNetwork } from './sandboxes.ts';
import type { NetworkService } from './service.ts';

export interface NetworkServiceOptions {
  readonly kernel: Pick<Kernel, 'links' | 'firewall' | 'namespaces' | 'sockets' | 'system'>;
  readonly log: Log;
  readonly settings: NetworkSettings;
}

/** What exists after `boot`. */
interface Booted {
  readonly record: NetworkRecord;
  readonly bridge: BridgePlan | null;
  readonly sandboxes: Sandboxes;
  readonly guard: FirewallGuard | null;
  readonly rest: AddressRest;
}

const EPHEMERAL_FALLBACK: readonly [number, number] = [49153, 65535];

function ephemeralRange(kernel: Pick<Kernel, 'system'>): readonly [number, number] {
  const match = /^(\d+)\s+(\d+)$/.exec(kernel.system.readSysctl('net/ipv4/ip_local_port_range') ?? '');
  return match === null ? EPHEMERAL_FALLBACK : [Number(match[1]), Number(match[2])];
}

function poolOf(family: BridgeFamily): IpamPool {
  return new IpamPool({
    subnet: family.interface.prefix,
    range: family.range ?? undefined,
    reserved: [family.interface.address, family.gateway],
  });
}

/**
 * Turns packet forwarding on. True when it was us who did, in this boot of the host: a file on the exec
 * root's tmpfs remembers it over restarts of the daemon.
 */
function switchForwarding(options: NetworkServiceOptions, family: 4 | 6): boolean {
  const { kernel, settings, log } = options;
  const name = family === 4 ? 'net/ipv4/ip_forward' : 'net/ipv6/conf/all/forwarding';
  const marker = join(settings.execRoot, 'network', `forwarding${family}`);
  const bootId = kernel.system.readSysctl('kernel/random/boot_id') ?? '';
  const read = (): string => {
    try {
      return readFileSync(marker, 'utf8');
    } catch {
      return '';
    }
  };
  if (kernel.system.readSysctl(name) !== '0') return read() === bootId && bootId !== '';
  if (settings.ipForward === false) {
    log.warn(`IPv${family} forwarding is disabled: containers reach this host only`);
    return false;
  }
  mkdirSync(dirname(marker), { recursive: true, mode: 0o711 });
  writeFileSync(marker, bootId, { mode: 0o600 });
  kernel.system.writeSysctl(name, '1');
  return true;
}

function startGuard(options: NetworkServiceOptions, bridge: BridgePlan): FirewallGuard | null {
  const { kernel, settings, log } = options;
  const switched4 = switchForwarding(options, 4);
  const switched6 = bridge.ipv6 !== null && switchForwarding(options, 6);
  if (settings.iptables === false) return null;
  const subnet6: Prefix | null =
    settings.ip6tables === false ? null : (bridge.ipv6?.interface.prefix ?? null);
  const mayDrop = settings.ipForwardNoDrop !== true;
  return new FirewallGuard({
    kernel,
    log,
    mode: settings.firewall ?? 'own',
    shape: {
      name: instanceName(settings.instance),
      bridge: bridge.name,
      subnet4: bridge.ipv4.interface.prefix,
      subnet6,
      masquerade: settings.ipMasquerade !== false,
      icc: settings.icc !== false,
      dropOtherForwarding: { ipv4: mayDrop && switched4, ipv6: mayDrop && switched6 && subnet6 !== null },
    },
  });
}

/** The ports of containers that go on: `icc` may have been changed meanwhile. */
function isolatePorts({ kernel, log, settings }: NetworkServiceOptions, links: readonly Link[]): void {
  const isolated = settings.icc === false;
  for (const { name: link, alias, master } of links) {
    if (master === 0 || containerOfAlias(settings.instance, alias) === null) continue;
    try {
      kernel.links.apply([{ kind: 'setPort', link, isolated }]);
    } catch (error) {
      // Its container may have ended just now.
      log.warn('a port of the bridge cannot be changed', { link, error: errorMessage(error) });
    }
  }
}

async function bootNetwork(options: NetworkServiceOptions): Promise<Booted> {
  const { kernel, log, settings } = options;
  const records = networkRecords(settings.dataRoot, log);
  const read = await records.read();
  const rest = new AddressRest(kernel, log);
  let network: BridgeNetwork | null = null;
  let guard: FirewallGuard | null = null;
  let record = read;
  if (settings.bridge !== 'none') {
    const host = {
      links: kernel.links.list(),
      addresses: kernel.links.addresses(),
      routes: kernel.links.routes(),
    };
    const plan = planBridge(settings, host, read.bridgeAddress);
    kernel.links.apply(plan.operations);
    isolatePorts(options, host.links);
    for (const [name, value] of plan.sysctls)
      if (kernel.system.readSysctl(name) !== null) kernel.system.writeSysctl(name, value);
    network = {
      id: read.bridge.id,
      name: 'bridge',
      plan,
      pool4: poolOf(plan.ipv4),
      pool6: plan.ipv6 === null ? null : poolOf(plan.ipv6),
    };
    guard = startGuard(options, plan);
    record = {
      ...read,
      bridgeAddress: `${formatAddress(plan.ipv4.interface.address)}/${plan.ipv4.interface.prefix.length}`,
    };
  }
  await records.keep(record);
  rest.start();
  const claims = new PortClaims({
    hold: (port) => kernel.sockets.holdPort(port).fd,
    close: closeSync,
    isServed: (address) =>
      guard !== null &&
      (!address.includes(':') || (network !== null && network.pool6 !== null)) &&
      address !== '::1',
    ephemeralRange: () => ephemeralRange(kernel),
  });
  const hostIpv6 = kernel.system.readSysctl('net/ipv6/conf/all/disable_ipv6') === '0';
  const plainNetworks = { host: record.host.id, none: record.none.id };
  const sandboxes = new Sandboxes({
    kernel,
    log,
    settings,
    claims,
    rest,
    bridge: network,
    plainNetworks,
    guard,
    closeFd: closeSync,
    hostIpv6,
  });
  return { record, bridge: network?.plan ?? null, sandboxes, guard, rest };
}

/** Removes what of this instance stands in the kernel and below the exec root, and no sandbox names. */
function sweepLeftovers(options: NetworkServiceOptions, sandboxes: Sandboxes): string[] {
  const { kernel, settings, log } = options;
  const removed: string[] = [];
  const live = sandboxes.all();
  const links = new Set(
    live.flatMap((facts) => Object.values(facts.endpoints).map((endpoint) => endpoint.hostLink)),
  );
  for (const link of kernel.links.list()) {
    if (containerOfAlias(settings.instance, link.alias) === null || links.has(link.name)) continue;
    try {
      kernel.links.apply([{ kind: 'removeLink', name: link.name }]);
      removed.push(`link ${link.name}`);
    } catch (error) {
      log.warn('a link that nobody names stays', { link: link.name, error: errorMessage(error) });
    }
  }
  const keys = new Set(live.map((facts) => facts.sandboxKey));
  const directory = join(settings.execRoot, 'netns');
  let names: string[] = [];
  try {
    names = readdirSync(directory);
  } catch {
    // No container of this instance ever ran since the host came up.
  }
  for (const name of names) {
    const path = join(directory, name);
    if (keys.has(path) || name === 'default') continue;
    rmSync(path, { force: true });
    removed.push(`sandbox key ${path}`);
  }
  return removed;
}

/** Errors: `notFound`; `invalidArgument` when the beginning of an id fits several. */
function findNetwork(all: readonly NetworkView[], nameOrId: string): NetworkView {
  const exact = all.find((view) => view.Name === nameOrId || view.Id === nameOrId);
  if (exact !== undefined) return exact;
  const matches = nameOrId === '' ? [] : all.filter((view) => view.Id.startsWith(nameOrId));
  const [found] = matches;
  if (found === undefined) throw new EngineError('notFound', `network ${nameOrId} not found`);
  if (matches.length > 1) {
    const text = `network ${nameOrId} is ambiguous (${matches.length} matches found based on ID prefix)`;
    throw new EngineError('invalidArgument', text);
  }
  return found;
}

/** Firewall elements need no sweep: the table is written whole at boot, with just the ports of what runs. */
export function createNetworkService(options: NetworkServiceOptions): NetworkService {
  const { kernel, settings } = options;
  let state: Booted | null = null;
  const booted = (): Booted => {
    if (state === null) throw new EngineError('unavailable', 'the network is not up yet');
    return state;
  };
  const ready = (facts: readonly SandboxFacts[]): void => {
    const { sandboxes, guard } = booted();
    const forwards = sandboxes.restore(facts);
    if (guard !== null && !guard.started) guard.start(forwards);
  };
  const views = (): readonly NetworkView[] => {
    const { record, bridge } = booted();
    return networkViews({ record, settings, bridge });
  };
  return {
    async boot() {
      state = await bootNetwork(options);
    },
    async restore(facts) {
      ready(facts);
    },
    async sweep() {
      return sweepLeftovers(options, booted().sandboxes);
    },
    list: views,
    inspect(nameOrId) {
      const found = findNetwork(views(), nameOrId);
      return { ...found, Containers: containersIn(found.Name, booted().sandboxes.all()) };
    },
    sandbox: {
      async prepare(request) {
        if (booted().guard?.started === false) ready([]);
        return await booted().sandboxes.prepare(request);
      },
      connect: async (containerId) => await booted().sandboxes.connect(containerId),
      handedOver: (containerId, pid) => booted().sandboxes.handedOver(containerId, pid),
      release: async (containerId) => await booted().sandboxes.release(containerId),
      facts: (containerId) => booted().sandboxes.facts(containerId),
      renamed: (containerId, name) => booted().sandboxes.renamed(containerId, name),
    },
    hostGateway() {
      const { bridge } = booted();
      return bridge === null ? '' : formatAddress(bridge.ipv4.interface.address);
    },
    findings: () => state?.guard?.findings ?? [],
    forwarding: () => ({
      ipv4: kernel.system.readSysctl('net/ipv4/ip_forward') === '1',
      ipv6: kernel.system.readSysctl('net/ipv6/conf/all/forwarding') === '1',
    }),
    async close() {
      state?.sandboxes.close();
      state?.guard?.close();
      state?.rest.close();
    },
  };
}
