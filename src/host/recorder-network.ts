/**
 * The recorder's model of one network namespace: links with their addresses and routes, nftables, held ports.
 */
import type {
  ChainRecord,
  FirewallDump,
  FirewallOperation,
  KeyField,
  RuleRecord,
  SetElement,
  TableAddress,
} from './firewall-operations.ts';
import type { PortAddress } from './kernel.ts';
import { KernelError } from './kernel-error.ts';
import type { AddressRecord, Link, LinkOperation, RouteRecord } from './link-operations.ts';

const FIRST_FREE_PORT = 32768;

export function modelError(code: string, syscall: string, path?: string): KernelError {
  return new KernelError({ code, errno: 0, syscall, reason: REASONS[code] ?? 'failed', path });
}

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'address already in use',
  EBUSY: 'device or resource busy',
  EEXIST: 'file exists',
  ENODEV: 'no such device',
  ENOENT: 'no such file or directory',
  ENOSYS: 'function not implemented',
};

interface ModelTable {
  readonly address: TableAddress;
  readonly chains: Map<string, ChainRecord>;
  rules: RuleRecord[];
  readonly sets: Map<string, Map<string, SetElement>>;
}

function copyTables(tables: ReadonlyMap<string, ModelTable>): Map<string, ModelTable> {
  const copy = ({ address, chains, rules, sets }: ModelTable): ModelTable => ({
    address,
    chains: new Map(chains),
    rules: [...rules],
    sets: new Map([...sets].map(([name, elements]) => [name, new Map(elements)])),
  });
  return new Map([...tables].map(([name, table]) => [name, copy(table)]));
}

function tableKey({ family, name }: TableAddress): string {
  return `${family} ${name}`;
}

function elementKey(key: readonly KeyField[]): string {
  return JSON.stringify(key);
}

export class ModelNetwork {
  readonly #links = new Map<string, Link>();
  readonly #ports = new Map<string, PortAddress>();
  #addresses: AddressRecord[] = [];
  #routes: RouteRecord[] = [];
  #tables = new Map<string, ModelTable>();
  #nextIndex = 1;
  #nextHandle = 1n;
  generation = 1;

  constructor() {
    this.#add({ name: 'lo', mac: '00:00:00:00:00:00', mtu: 65536 });
  }

  get links(): readonly Link[] {
    return [...this.#links.values()];
  }

  get addresses(): readonly AddressRecord[] {
    return this.#addresses;
  }

  get routes(): readonly RouteRecord[] {
    return this.#routes;
  }

  find(name: string): Link | null {
    return this.#links.get(name) ?? null;
  }

  applyLink(operation: LinkOperation, networkOf: (netns: number) => ModelNetwork): void {
    switch (operation.kind) {
      case 'addBridge':
        this.#add({ ...operation, kind: 'bridge' });
        return;
      case 'addVeth': {
        const master = operation.bridge === undefined ? 0 : this.#get(operation.bridge).index;
        const { name, alias, mtu, peer } = operation;
        this.#add({
          name,
          kind: 'veth',
          up: true,
          master,
          ...(alias === undefined ? {} : { alias }),
          ...(mtu === undefined ? {} : { mtu }),
        });
        networkOf(peer.netns).#add({
          name: peer.name,
          kind: 'veth',
          mac: peer.mac ?? '',
          ...(mtu === undefined ? {} : { mtu }),
        });
        return;
      }
      case 'removeLink':
        this.#remove(this.#get(operation.name));
        return;
      case 'setUp':
      case 'setDown':
        this.#change(operation.link, { up: operation.kind === 'setUp' });
        return;
      case 'setAlias':
        this.#change(operation.link, { alias: operation.alias });
        return;
      case 'setMaster':
        this.#change(operation.link, {
          master: operation.bridge === null ? 0 : this.#get(operation.bridge).index,
        });
        return;
      case 'setPort':
        this.#get(operation.link);
        return;
      case 'addAddress':
      case 'removeAddress':
      case 'addRoute':
        this.#applyAddress(operation);
        return;
      default:
        operation satisfies never;
    }
  }

  #applyAddress(
    operation: Extract<LinkOperation, { kind: 'addAddress' | 'removeAddress' | 'addRoute' }>,
  ): void {
    const { index } = this.#get(operation.link);
    if (operation.kind === 'addRoute') {
      const { destination, gateway = '' } = operation;
      this.#routes.push({
        family: destination.includes(':') ? 6 : 4,
        destination,
        gateway,
        linkIndex: index,
        table: 254,
      });
      return;
    }
    const { address, prefixLength } = operation;
    const rest = this.#addresses.filter((record) => record.linkIndex !== index || record.address !== address);
    const known = rest.length < this.#addresses.length;
    if (operation.kind === 'removeAddress') {
      if (!known) throw modelError('EADDRNOTAVAIL', 'RTM_DELADDR', address);
      this.#addresses = rest;
      return;
    }
    if (known) throw modelError('EEXIST', 'RTM_NEWADDR', `${address}/${prefixLength}`);
    this.#addresses.push({
      linkIndex: index,
      family: address.includes(':') ? 6 : 4,
      address,
      prefixLength,
      scope: 'global',
    });
  }

  #get(name: string): Link {
    const link = this.#links.get(name);
    if (link === undefined) throw modelError('ENODEV', 'RTM_GETLINK', name);
    return link;
  }

  #add(link: Partial<Link> & { readonly name: string }): void {
    if (this.#links.has(link.name)) throw modelError('EEXIST', 'RTM_NEWLINK', link.name);
    const { name, kind = '', up = false, mac = '', mtu = 1500, master = 0, alias = '' } = link;
    this.#links.set(name, { index: this.#nextIndex, name, kind, up, mac, mtu, master, alias });
    this.#nextIndex += 1;
  }

  #change(name: string, change: Partial<Link>): void {
    this.#links.set(name, { ...this.#get(name), ...change });
  }

  #remove({ name, index }: Link): void {
    this.#links.delete(name);
    this.#addresses = this.#addresses.filter((record) => record.linkIndex !== index);
    this.#routes = this.#routes.filter((record) => record.linkIndex !== index);
  }

  get tables(): readonly TableAddress[] {
    return [...this.#tables.values()].map((table) => table.address);
  }

  /** All or nothing, as the kernel does it. */
  commit(operations: readonly FirewallOperation[]): void {
    const before = this.#tables;
    this.#tables = copyTables(before);
    try {
      for (const operation of operations) this.#applyFirewall(operation);
      this.generation += 1;
    } catch (error) {
      this.#tables = before;
      throw error;
    }
  }

  dump(address?: TableAddress): FirewallDump {
    const chains = [...this.#tables.values()].flatMap((table) => [...table.chains.values()]);
    return { chains, rules: address === undefined ? [] : this.#table(address, 'dump').rules };
  }

  elements(address: TableAddress, set: string): readonly SetElement[] {
    return [...this.#set(this.#table(address, 'GETSET'), set).values()];
  }

  #table(address: TableAddress, operation: string): ModelTable {
    const table = this.#tables.get(tableKey(address));
    if (table === undefined) throw modelError('ENOENT', operation, tableKey(address));
    return table;
  }

  #set(table: ModelTable, name: string): Map<string, SetElement> {
    const set = table.sets.get(name);
    if (set === undefined) throw modelError('ENOENT', 'GETSET', name);
    return set;
  }

  #applyFirewall(operation: FirewallOperation): void {
    if (operation.kind === 'addTable') {
      const key = tableKey(operation.table);
      if (this.#tables.has(key)) return;
      this.#tables.set(key, { address: operation.table, chains: new Map(), rules: [], sets: new Map() });
      return;
    }
    const table = this.#table(operation.table, operation.kind);
    if (operation.kind === 'deleteTable') this.#tables.delete(tableKey(operation.table));
    else if ('chain' in operation) this.#applyChain(table, operation);
    else this.#applySet(table, operation);
  }

  #applyChain(table: ModelTable, operation: Extract<FirewallOperation, { chain: string }>): void {
    const { kind, chain } = operation;
    if (kind === 'addChain') {
      table.chains.set(
        chain,
        table.chains.get(chain) ?? { table: table.address, name: chain, base: operation.base ?? null },
      );
      return;
    }
    if (!table.chains.has(chain)) throw modelError('ENOENT', kind, `${tableKey(table.address)} ${chain}`);
    if (kind === 'deleteChain') {
      if (table.rules.some((rule) => rule.chain === chain)) throw modelError('EBUSY', kind, chain);
      table.chains.delete(chain);
    } else if (kind === 'flushChain') {
      table.rules = table.rules.filter((rule) => rule.chain !== chain);
    } else if (kind === 'deleteRule') {
      const rest = table.rules.filter((rule) => rule.handle !== operation.handle);
      if (rest.length === table.rules.length) throw modelError('ENOENT', kind, chain);
      table.rules = rest;
    } else {
      const rule = {
        table: table.address,
        chain,
        handle: this.#nextHandle,
        comment: operation.comment ?? '',
      };
      this.#nextHandle += 1n;
      if (operation.insert === true) table.rules.unshift(rule);
      else table.rules.push(rule);
    }
  }

  #applySet(table: ModelTable, operation: Extract<FirewallOperation, { set: string }>): void {
    if (operation.kind === 'addSet') {
      if (!table.sets.has(operation.set)) table.sets.set(operation.set, new Map());
      return;
    }
    const set = this.#set(table, operation.set);
    if (operation.kind === 'deleteSet') table.sets.delete(operation.set);
    else if (operation.kind === 'flushSet') set.clear();
    else if (operation.kind === 'addElements') addElements(set, operation.elements);
    else {
      for (const { key } of operation.elements) {
        if (!set.delete(elementKey(key))) throw modelError('ENOENT', operation.kind, operation.set);
      }
    }
  }

  hold({ protocol, address, port }: PortAddress): number {
    const number = port === 0 ? FIRST_FREE_PORT + this.#ports.size : port;
    for (const held of this.#ports.values()) {
      if (
        held.protocol !== protocol ||
        held.port !== number ||
        held.address.includes(':') !== address.includes(':')
      )
        continue;
      const any = ['0.0.0.0', '::'];
      if (held.address === address || any.includes(held.address) || any.includes(address)) {
        throw modelError('EADDRINUSE', 'bind', `${address}:${number}`);
      }
    }
    this.#ports.set(`${protocol} ${address} ${number}`, { protocol, address, port: number });
    return number;
  }
}

/** Adding what is there is no error, adding other data for a key is. */
function addElements(set: Map<string, SetElement>, elements: readonly SetElement[]): void {
  for (const element of elements) {
    const key = elementKey(element.key);
    const known = set.get(key);
    if (known === undefined) set.set(key, element);
    else if (JSON.stringify(known.data) !== JSON.stringify(element.data))
      throw modelError('EEXIST', 'addElements', key);
  }
}
