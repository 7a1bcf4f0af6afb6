/** Firewall operations as messages of one nftables transaction. */
import type {
  BaseChain,
  FirewallOperation,
  KeyType,
  SetElement,
  TableAddress,
  TableFamily,
} from '../firewall-operations.ts';
import { attribute, be32, be64, encodeMessage, nested, NLM_F, text } from './netlink-message.ts';
import {
  commentData,
  dataValue,
  dataVerdict,
  encodeFields,
  hostU32,
  keyLength,
  typeNumber,
} from './nft-codec.ts';
import { encodeExpressions } from './nft-expressions.ts';

export const SUBSYSTEM = { CONNTRACK: 1, NFTABLES: 10 } as const;

export const MSG = {
  NEWTABLE: 0,
  GETTABLE: 1,
  DELTABLE: 2,
  NEWCHAIN: 3,
  GETCHAIN: 4,
  DELCHAIN: 5,
  NEWRULE: 6,
  GETRULE: 7,
  DELRULE: 8,
  NEWSET: 9,
  GETSET: 10,
  DELSET: 11,
  NEWSETELEM: 12,
  GETSETELEM: 13,
  DELSETELEM: 14,
  NEWGEN: 15,
  GETGEN: 16,
} as const;

const BATCH = { BEGIN: 0x10, END: 0x11 } as const;

export const FAMILIES: Readonly<Record<TableFamily, number>> = {
  inet: 1,
  ip: 2,
  arp: 3,
  netdev: 5,
  bridge: 7,
  ip6: 10,
};
export const HOOKS = ['prerouting', 'input', 'forward', 'output', 'postrouting'] as const;
const POLICIES = { drop: 0, accept: 1 } as const;
const SET_FLAG_MAP = 8;

export const TABLE = { NAME: 1 } as const;
export const CHAIN = { TABLE: 1, NAME: 3, HOOK: 4, POLICY: 5, TYPE: 7 } as const;
export const HOOK = { NUMBER: 1, PRIORITY: 2 } as const;
export const RULE = { TABLE: 1, CHAIN: 2, HANDLE: 3, EXPRESSIONS: 4, USERDATA: 7 } as const;
export const SET = {
  TABLE: 1,
  NAME: 2,
  FLAGS: 3,
  KEY_TYPE: 4,
  KEY_LEN: 5,
  DATA_TYPE: 6,
  DATA_LEN: 7,
  ID: 10,
  USERDATA: 13,
} as const;
export const ELEMENTS = { TABLE: 1, SET: 2, LIST: 3 } as const;
export const ELEMENT = { KEY: 1, DATA: 2, FLAGS: 3, USERDATA: 6 } as const;
const LIST_ELEM = 1;

/** `struct nfgenmsg`. */
export function netfilterHeader(family: number, resource = 0): Buffer {
  return Buffer.from([family, 0, resource >> 8, resource & 0xff]);
}

export function messageType(subsystem: number, message: number): number {
  return (subsystem << 8) | message;
}

interface Part {
  readonly message: number;
  readonly flags: number;
  readonly attributes: readonly Buffer[];
}

/**
 * The whole batch; operation `i` has sequence number `first + 1 + i`, and the last one asks for an answer.
 */
export function encodeTransaction(operations: readonly FirewallOperation[], first: number): Buffer {
  const edge = (type: number, sequence: number): Buffer =>
    encodeMessage({ type, flags: NLM_F.REQUEST, sequence, payload: netfilterHeader(0, SUBSYSTEM.NFTABLES) });
  const messages = operations.map((operation, index) => {
    const part = encodeOperation(operation, index + 1);
    const answer = index === operations.length - 1 ? NLM_F.ACK : 0;
    return encodeMessage({
      type: messageType(SUBSYSTEM.NFTABLES, part.message),
      flags: NLM_F.REQUEST | part.flags | answer,
      sequence: first + 1 + index,
      payload: Buffer.concat([netfilterHeader(FAMILIES[operation.table.family]), ...part.attributes]),
    });
  });
  return Buffer.concat([
    edge(BATCH.BEGIN, first),
    ...messages,
    edge(BATCH.END, first + 1 + operations.length),
  ]);
}

type Of<K extends FirewallOperation['kind']> = Extract<FirewallOperation, { kind: K }>;

function encodeOperation(operation: FirewallOperation, id: number): Part {
  const { table } = operation;
  switch (operation.kind) {
    case 'addTable':
      return { message: MSG.NEWTABLE, flags: NLM_F.CREATE, attributes: [text(TABLE.NAME, table.name)] };
    case 'deleteTable':
      return { message: MSG.DELTABLE, flags: 0, attributes: [text(TABLE.NAME, table.name)] };
    case 'addChain':
      return addChain(operation);
    case 'deleteChain':
      return {
        message: MSG.DELCHAIN,
        flags: 0,
        attributes: [text(CHAIN.TABLE, table.name), text(CHAIN.NAME, operation.chain)],
      };
    case 'flushChain':
      return {
        message: MSG.DELRULE,
        flags: 0,
        attributes: [text(RULE.TABLE, table.name), text(RULE.CHAIN, operation.chain)],
      };
    case 'addSet':
      return addSet(operation, id);
    case 'deleteSet':
      return {
        message: MSG.DELSET,
        flags: 0,
        attributes: [text(SET.TABLE, table.name), text(SET.NAME, operation.set)],
      };
    case 'flushSet':
      return { message: MSG.DELSETELEM, flags: 0, attributes: elementPlace(table, operation.set) };
    case 'addElements':
    case 'deleteElements':
      return changeElements(operation);
    case 'addRule':
      return addRule(operation);
    case 'deleteRule':
      return {
        message: MSG.DELRULE,
        flags: 0,
        attributes: [...rulePlace(table, operation.chain), be64(RULE.HANDLE, operation.handle)],
      };
    default:
      return operation satisfies never;
  }
}

function rulePlace(table: TableAddress, chain: string): Buffer[] {
  return [text(RULE.TABLE, table.name), text(RULE.CHAIN, chain)];
}

function elementPlace(table: TableAddress, set: string): Buffer[] {
  return [text(ELEMENTS.TABLE, table.name), text(ELEMENTS.SET, set)];
}

function addChain({ table, chain, base }: Of<'addChain'>): Part {
  const attributes = [
    text(CHAIN.TABLE, table.name),
    text(CHAIN.NAME, chain),
    ...(base === undefined ? [] : baseChain(base)),
  ];
  return { message: MSG.NEWCHAIN, flags: NLM_F.CREATE, attributes };
}

function baseChain({ type, hook, priority, policy }: BaseChain): Buffer[] {
  return [
    nested(CHAIN.HOOK, be32(HOOK.NUMBER, HOOKS.indexOf(hook)), be32(HOOK.PRIORITY, priority)),
    be32(CHAIN.POLICY, POLICIES[policy ?? 'accept']),
    text(CHAIN.TYPE, type),
  ];
}

/** The number is the transaction's own name for the set; the kernel demands one. */
function addSet({ table, set, key, data }: Of<'addSet'>, id: number): Part {
  const attributes = [
    text(SET.TABLE, table.name),
    text(SET.NAME, set),
    be32(SET.FLAGS, data === undefined ? 0 : SET_FLAG_MAP),
    be32(SET.KEY_TYPE, typeNumber(key)),
    be32(SET.KEY_LEN, keyLength(key)),
    be32(SET.ID, id),
    ...(key.length === 1 ? [attribute(SET.USERDATA, byteOrder(key[0]))] : []),
  ];
  if (data !== undefined) attributes.push(be32(SET.DATA_TYPE, typeNumber(data)));
  if (data !== undefined && data !== 'verdict') attributes.push(be32(SET.DATA_LEN, keyLength(data)));
  return { message: MSG.NEWSET, flags: NLM_F.CREATE, attributes };
}

/**
 * For nft's eyes only: without it, it shows names as empty. Type 0 of a set's user data, 1 for the machine's
 * order, 2 for the network's.
 */
function byteOrder(key: KeyType | undefined): Buffer {
  const order = key === 'ifname' || key === 'mark' ? 1 : 2;
  return Buffer.concat([Buffer.from([0, 4]), hostU32(order)]);
}

function changeElements(operation: Of<'addElements' | 'deleteElements'>): Part {
  const list = operation.elements.map((element) => encodeElement(operation, element));
  const adding = operation.kind === 'addElements';
  return {
    message: adding ? MSG.NEWSETELEM : MSG.DELSETELEM,
    flags: adding ? NLM_F.CREATE : 0,
    attributes: [...elementPlace(operation.table, operation.set), nested(ELEMENTS.LIST, ...list)],
  };
}

function encodeElement(
  { kind, key, data }: Of<'addElements' | 'deleteElements'>,
  element: SetElement,
): Buffer {
  const parts = [dataValue(ELEMENT.KEY, encodeFields(key, element.key))];
  if (kind === 'addElements' && element.data !== undefined) {
    if ('verdict' in element.data) parts.push(dataVerdict(ELEMENT.DATA, element.data));
    else if (data !== undefined && data !== 'verdict')
      parts.push(dataValue(ELEMENT.DATA, encodeFields(data, element.data)));
  }
  if (kind === 'addElements' && element.comment !== undefined)
    parts.push(commentData(ELEMENT.USERDATA, element.comment));
  return nested(LIST_ELEM, ...parts);
}

function addRule({ table, chain, expressions, comment, insert }: Of<'addRule'>): Part {
  const attributes = [
    ...rulePlace(table, chain),
    encodeExpressions(RULE.EXPRESSIONS, expressions, table.family),
  ];
  if (comment !== undefined) attributes.push(commentData(RULE.USERDATA, comment));
  return { message: MSG.NEWRULE, flags: NLM_F.CREATE | (insert === true ? 0 : NLM_F.APPEND), attributes };
}
