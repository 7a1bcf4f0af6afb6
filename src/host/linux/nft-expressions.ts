/**
 * Rule expressions in their wire form: `NFTA_EXPR_NAME` and each expression's own attributes,
 * linux/netfilter/nf_tables.h.
 */
import type { Expression, MetaKey, PayloadField, TableFamily } from '../firewall-operations.ts';
import { attribute, be32, nested, text, u8 } from './netlink-message.ts';
import { dataValue, dataVerdict } from './nft-codec.ts';
import { AF } from './socket-address.ts';

const EXPR = { NAME: 1, DATA: 2 } as const;
const LIST_ELEM = 1;
/** NFT_REG32_00: the sixteen 32-bit registers are numbered from here; 0 is the verdict's. */
const FIRST_REGISTER = 8;
const VERDICT_REGISTER = 0;

const META: Readonly<Record<MetaKey, number>> = {
  protocol: 1,
  mark: 3,
  iif: 4,
  oif: 5,
  iifname: 6,
  oifname: 7,
  nfproto: 15,
  l4proto: 16,
  pkttype: 19,
};

const LAYER = { LINK: 0, NETWORK: 1, TRANSPORT: 2 } as const;

const PAYLOAD: Readonly<Record<PayloadField, readonly [base: number, offset: number, length: number]>> = {
  'ip protocol': [LAYER.NETWORK, 9, 1],
  'ip saddr': [LAYER.NETWORK, 12, 4],
  'ip daddr': [LAYER.NETWORK, 16, 4],
  'ip6 saddr': [LAYER.NETWORK, 8, 16],
  'ip6 daddr': [LAYER.NETWORK, 24, 16],
  'th sport': [LAYER.TRANSPORT, 0, 2],
  'th dport': [LAYER.TRANSPORT, 2, 2],
  'ether daddr': [LAYER.LINK, 0, 6],
  'ether saddr': [LAYER.LINK, 6, 6],
};

const COMPARE = { eq: 0, neq: 1, lt: 2, lte: 3, gt: 4, gte: 5 } as const;
const CT = { state: 0, status: 2, mark: 3 } as const;
const FIB = { ADDRESS_TYPE: 3, SADDR: 1, DADDR: 2 } as const;
const NAT = { snat: 0, dnat: 1 } as const;
const LOOKUP_INVERT = 1;
const RANDOM_FULLY = 1 << 4;
/** port-unreachable: with the family's own code, or the one that serves both. */
const REJECT = { ICMP: 0, ICMPX: 2 } as const;

function register(slot: number | undefined): number {
  return FIRST_REGISTER + (slot ?? 0);
}

function named(name: string, ...data: readonly Buffer[]): Buffer {
  return nested(LIST_ELEM, text(EXPR.NAME, name), nested(EXPR.DATA, ...data));
}

type Of<K extends Expression['kind']> = Extract<Expression, { kind: K }>;

/** One element of a rule's expression list. */
export function encodeExpression(expression: Expression, family: TableFamily): Buffer {
  switch (expression.kind) {
    case 'meta':
      return named('meta', be32(1, register(expression.slot)), be32(2, META[expression.key]));
    case 'setMark':
      return named('meta', be32(2, META.mark), be32(3, register(expression.slot)));
    case 'payload':
      return payload(expression);
    case 'ct':
      return named('ct', be32(1, register(expression.slot)), be32(2, CT[expression.key]));
    case 'fib':
      return fib(expression);
    case 'bitwise':
      return bitwise(expression);
    case 'compare':
      return named(
        'cmp',
        be32(1, register(expression.slot)),
        be32(2, COMPARE[expression.op]),
        dataValue(3, expression.value),
      );
    case 'lookup':
      return lookup(expression);
    case 'verdictMap':
      return named(
        'lookup',
        text(1, expression.set),
        be32(2, register(expression.slot)),
        be32(3, VERDICT_REGISTER),
      );
    case 'immediate':
      return named('immediate', be32(1, register(expression.slot)), dataValue(2, expression.value));
    case 'dnat':
    case 'snat':
    case 'masquerade':
    case 'redirect':
    case 'counter':
    case 'log':
    case 'reject':
    case 'verdict':
      return encodeStatement(expression, family);
    default:
      return expression satisfies never;
  }
}

/** Expressions that act instead of loading or comparing. */
function encodeStatement(
  expression: Of<'dnat' | 'snat' | 'masquerade' | 'redirect' | 'counter' | 'log' | 'reject' | 'verdict'>,
  family: TableFamily,
): Buffer {
  switch (expression.kind) {
    case 'dnat':
    case 'snat':
      return nat(expression);
    case 'masquerade':
      return named('masq', ...(expression.random === true ? [be32(1, RANDOM_FULLY)] : []));
    case 'redirect':
      return named('redir', be32(1, register(expression.port)));
    case 'counter':
      return named('counter');
    case 'log':
      return named('log', text(2, expression.prefix));
    case 'reject':
      return reject(family);
    case 'verdict':
      return named('immediate', be32(1, VERDICT_REGISTER), dataVerdict(2, expression));
    default:
      return expression satisfies never;
  }
}

function payload({ field, slot }: Of<'payload'>): Buffer {
  const [base, offset, length] = PAYLOAD[field];
  return named('payload', be32(1, register(slot)), be32(2, base), be32(3, offset), be32(4, length));
}

function fib({ of, slot }: Of<'fib'>): Buffer {
  const flags = of === 'daddr' ? FIB.DADDR : FIB.SADDR;
  return named('fib', be32(1, register(slot)), be32(2, FIB.ADDRESS_TYPE), be32(3, flags));
}

function bitwise({ mask, xor, slot }: Of<'bitwise'>): Buffer {
  const value = xor ?? Buffer.alloc(mask.length);
  const registers = [be32(1, register(slot)), be32(2, register(slot)), be32(3, mask.length)];
  return named('bitwise', ...registers, dataValue(4, mask), dataValue(5, value));
}

function lookup({ set, slot, data, invert }: Of<'lookup'>): Buffer {
  const parts = [text(1, set), be32(2, register(slot))];
  if (data !== undefined) parts.push(be32(3, register(data)));
  if (invert === true) parts.push(be32(5, LOOKUP_INVERT));
  return named('lookup', ...parts);
}

function nat({ kind, family, address, port }: Of<'dnat' | 'snat'>): Buffer {
  const parts = [be32(1, NAT[kind]), be32(2, family === 4 ? AF.INET : AF.INET6), be32(3, register(address))];
  if (port !== undefined) parts.push(be32(5, register(port)));
  return named('nat', ...parts);
}

function reject(family: TableFamily): Buffer {
  if (family === 'ip') return named('reject', be32(1, REJECT.ICMP), u8(2, 3));
  if (family === 'ip6') return named('reject', be32(1, REJECT.ICMP), u8(2, 4));
  return named('reject', be32(1, REJECT.ICMPX), u8(2, 1));
}

export function encodeExpressions(
  type: number,
  expressions: readonly Expression[],
  family: TableFamily,
): Buffer {
  return attribute(
    type | 0x8000,
    Buffer.concat(expressions.map((expression) => encodeExpression(expression, family))),
  );
}
