import type {
  BaseChain,
  ChainRecord,
  FirewallOperation,
  RuleRecord,
  SetElement,
  TableAddress,
  TableFamily,
} from '../firewall-operations.ts';
import type { Firewall } from '../kernel.ts';
import { forgetConnections } from './conntrack.ts';
import { kernelError } from './errno.ts';
import {
  type Attributes,
  attributes,
  eachAttribute,
  type NetlinkMessage,
  text,
  textOf,
} from './netlink-message.ts';
import { NETLINK, type NetlinkDeps, NetlinkSocket, refusalOf, watchGroup } from './netlink-socket.ts';
import { decodeFields, readComment, readValue, readVerdict, typesOf } from './nft-codec.ts';
import * as nft from './nft-transaction.ts';

const NFNLGRP_NFTABLES = 7;
const GEN_ID = 1;
const NFPROTO_UNSPEC = 0;

type WithSocket = <T>(netns: number | undefined, work: (socket: NetlinkSocket) => T) => T;

/** After an error there may be unread answers, so such a socket is not used again. */
function closeOnError<T>(socket: NetlinkSocket, work: (socket: NetlinkSocket) => T): T {
  try {
    return work(socket);
  } catch (error) {
    socket.close();
    throw error;
  }
}

export function createFirewall(deps: NetlinkDeps): Firewall {
  const own = new OwnGenerations();
  const withSocket: WithSocket = (netns, work) => {
    const socket = new NetlinkSocket(deps, NETLINK.NETFILTER, netns);
    try {
      return work(socket);
    } finally {
      socket.close();
    }
  };
  // For commits one socket stays open: closing one right after a deletion waits for an RCU grace period (ten
  // milliseconds).
  let kept: NetlinkSocket | null = null;
  const withKeptSocket: WithSocket = (netns, work) => {
    if (netns !== undefined) return withSocket(netns, work);
    const socket = kept ?? new NetlinkSocket(deps, NETLINK.NETFILTER);
    kept = null;
    const result = closeOnError(socket, work);
    kept = socket;
    return result;
  };
  return {
    commit: (operations, netns) =>
      withKeptSocket(netns, (socket) => {
        if (operations.length === 0) return;
        const before = generation(socket);
        commit(socket, operations);
        if (netns === undefined) own.add(before, generation(socket));
      }),
    tables: (netns) => withSocket(netns, (socket) => dump(socket, nft.MSG.GETTABLE).map(tableRecord)),
    dump: (table, netns) =>
      withSocket(netns, (socket) => ({
        chains: dump(socket, nft.MSG.GETCHAIN).map(chainRecord),
        rules: table === undefined ? [] : dumpRules(socket, table),
      })),
    elements: (table, set) => withSocket(undefined, (socket) => dumpElements(socket, table, set)),
    generation: (netns) => withSocket(netns, generation),
    watch: (listener) =>
      watchGroup(deps, { protocol: NETLINK.NETFILTER, group: NFNLGRP_NFTABLES }, (messages) => {
        if (messages === null || messages.some((message) => own.isForeign(message))) listener();
      }),
    forgetConnections: (filter) => withSocket(undefined, (socket) => forgetConnections(socket, filter)),
  };
}

const REMEMBERED = 1024;

/**
 * The generations that our own commits made; the kernel names only processes of its outermost pid namespace.
 */
class OwnGenerations {
  readonly #ids = new Set<number>();

  add(before: number, after: number): void {
    // Any other step means that somebody else committed, too: better one needless look than a missed change.
    if (after !== (before + 1) >>> 0) return;
    this.#ids.add(after);
    const [oldest] = this.#ids;
    if (this.#ids.size > REMEMBERED && oldest !== undefined) this.#ids.delete(oldest);
  }

  isForeign(message: NetlinkMessage): boolean {
    if (message.type !== nft.messageType(nft.SUBSYSTEM.NFTABLES, nft.MSG.NEWGEN)) return false;
    const id = attributes(message.payload.subarray(4)).get(GEN_ID)?.readUInt32BE(0);
    return id === undefined || !this.#ids.has(id);
  }
}

function commit(socket: NetlinkSocket, operations: readonly FirewallOperation[]): void {
  const first = socket.nextSequence();
  socket.send(nft.encodeTransaction(operations, first));
  const replies = socket.receive();
  const refusals = replies.map(refusalOf).filter((refusal) => refusal !== null);
  const [refusal] = refusals.sort((a, b) => a.sequence - b.sequence);
  if (refusal !== undefined) {
    const operation = operations[refusal.sequence - first - 1];
    const object = [operation === undefined ? 'nftables' : describe(operation), refusal.explanation];
    throw kernelError(
      refusal.errno,
      operation?.kind ?? 'commit',
      object.filter((part) => part !== '').join(': '),
    );
  }
}

function describe(operation: FirewallOperation): string {
  const parts = [operation.table.family, operation.table.name];
  if ('chain' in operation) parts.push(operation.chain);
  if ('set' in operation) parts.push(operation.set);
  return parts.join(' ');
}

function generation(socket: NetlinkSocket): number {
  const [reply] = socket.request({
    operation: 'GETGEN',
    type: nft.messageType(nft.SUBSYSTEM.NFTABLES, nft.MSG.GETGEN),
    flags: 0,
    payload: nft.netfilterHeader(NFPROTO_UNSPEC),
  });
  return attributes(reply?.payload.subarray(4)).get(GEN_ID)?.readUInt32BE(0) ?? 0;
}

interface Dumped {
  readonly family: TableFamily;
  readonly values: Attributes;
}

interface DumpScope {
  readonly table?: TableAddress;
  readonly body?: readonly Buffer[];
}

function dump(socket: NetlinkSocket, message: number, scope: DumpScope = {}): readonly Dumped[] {
  const family = scope.table === undefined ? NFPROTO_UNSPEC : nft.FAMILIES[scope.table.family];
  const messages = socket.dump({
    operation: 'dump',
    object: scope.table?.name,
    type: nft.messageType(nft.SUBSYSTEM.NFTABLES, message),
    payload: Buffer.concat([nft.netfilterHeader(family), ...(scope.body ?? [])]),
  });
  return messages.map(({ payload }) => ({
    family: familyOf(payload.readUInt8(0)),
    values: attributes(payload.subarray(4)),
  }));
}

function familyOf(number: number): TableFamily {
  const found = (Object.keys(nft.FAMILIES) as TableFamily[]).find(
    (family) => nft.FAMILIES[family] === number,
  );
  return found ?? 'inet';
}

function tableRecord({ family, values }: Dumped): TableAddress {
  return { family, name: textOf(values.get(nft.TABLE.NAME)) };
}

function chainRecord({ family, values }: Dumped): ChainRecord {
  return {
    table: { family, name: textOf(values.get(nft.CHAIN.TABLE)) },
    name: textOf(values.get(nft.CHAIN.NAME)),
    base: baseOf(values),
  };
}

function baseOf(values: Attributes): BaseChain | null {
  const hook = attributes(values.get(nft.CHAIN.HOOK));
  const name = nft.HOOKS[hook.get(nft.HOOK.NUMBER)?.readUInt32BE(0) ?? -1];
  const type = textOf(values.get(nft.CHAIN.TYPE));
  if (name === undefined || !isChainType(type)) return null;
  const policy = values.get(nft.CHAIN.POLICY)?.readUInt32BE(0) === 0 ? 'drop' : 'accept';
  return { type, hook: name, priority: hook.get(nft.HOOK.PRIORITY)?.readInt32BE(0) ?? 0, policy };
}

function isChainType(type: string): type is BaseChain['type'] {
  return type === 'filter' || type === 'nat' || type === 'route';
}

function dumpRules(socket: NetlinkSocket, table: TableAddress): readonly RuleRecord[] {
  return dump(socket, nft.MSG.GETRULE, { table, body: [text(nft.RULE.TABLE, table.name)] }).map(
    ({ values }) => ({
      table,
      chain: textOf(values.get(nft.RULE.CHAIN)),
      handle: values.get(nft.RULE.HANDLE)?.readBigUInt64BE(0) ?? 0n,
      comment: readComment(values.get(nft.RULE.USERDATA)),
    }),
  );
}

function dumpElements(socket: NetlinkSocket, table: TableAddress, set: string): readonly SetElement[] {
  const [definition] = socket.request({
    operation: 'GETSET',
    object: set,
    type: nft.messageType(nft.SUBSYSTEM.NFTABLES, nft.MSG.GETSET),
    flags: 0,
    payload: Buffer.concat([
      nft.netfilterHeader(nft.FAMILIES[table.family]),
      text(nft.SET.TABLE, table.name),
      text(nft.SET.NAME, set),
    ]),
  });
  const facts = attributes(definition?.payload.subarray(4));
  const body = [text(nft.ELEMENTS.TABLE, table.name), text(nft.ELEMENTS.SET, set)];
  return dump(socket, nft.MSG.GETSETELEM, { table, body }).flatMap(({ values }) =>
    [...eachAttribute(values.get(nft.ELEMENTS.LIST) ?? Buffer.alloc(0))].map(([, element]) =>
      readElement(facts, attributes(element)),
    ),
  );
}

function readElement(facts: Attributes, element: Attributes): SetElement {
  const keyTypes = typesOf(facts.get(nft.SET.KEY_TYPE)?.readUInt32BE(0) ?? 0);
  const dataType = facts.get(nft.SET.DATA_TYPE)?.readUInt32BE(0);
  const dataTypes = dataType === undefined ? null : typesOf(dataType);
  const key =
    keyTypes === null || keyTypes === 'verdict'
      ? []
      : decodeFields(keyTypes, readValue(element.get(nft.ELEMENT.KEY)));
  const data = element.get(nft.ELEMENT.DATA);
  const comment = readComment(element.get(nft.ELEMENT.USERDATA));
  return {
    key,
    ...(data === undefined || dataTypes === null
      ? {}
      : { data: dataTypes === 'verdict' ? readVerdict(data) : decodeFields(dataTypes, readValue(data)) }),
    ...(comment === '' ? {} : { comment }),
  };
}
