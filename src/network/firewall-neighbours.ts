import type { Expression, FirewallOperation, TableAddress } from '#host/firewall-operations.ts';
import type { FirewallShape } from './firewall-plan.ts';
import type { FirewallFinding } from './model.ts';

/** Somebody else's base chain in the forward hook whose policy is drop, with the comments of its rules. */
export interface ForeignChain {
  readonly table: TableAddress;
  readonly chain: string;
  readonly comments: readonly string[];
}

export interface WayThrough {
  readonly operations: readonly FirewallOperation[];
  readonly findings: readonly FirewallFinding[];
}

function acceptOn(key: 'iifname' | 'oifname', bridge: string): readonly Expression[] {
  const value = Buffer.concat([Buffer.from(bridge), Buffer.alloc(16)]).subarray(0, 16);
  // In the very form that `iptables -i docker0 -j ACCEPT` has, counter included, so that iptables still reads
  // its own table.
  return [
    { kind: 'meta', key },
    { kind: 'compare', op: 'eq', value },
    { kind: 'counter' },
    { kind: 'verdict', verdict: 'accept' },
  ];
}

const sees = (shape: FirewallShape, table: TableAddress): boolean =>
  table.family === 'inet' ||
  (table.family === 'ip' && shape.subnet4 !== null) ||
  (table.family === 'ip6' && shape.subnet6 !== null);

/**
 * `own`: an accept for our bridge, marked by a comment, goes in front of each such chain (what may pass, our
 * own table still decides: there, a drop is final). `respect`: only findings, with the command that would do
 * it.
 */
export function planWayThrough(
  shape: FirewallShape,
  chains: readonly ForeignChain[],
  mode: 'own' | 'respect',
): WayThrough {
  const operations: FirewallOperation[] = [];
  const findings: FirewallFinding[] = [];
  for (const { table, chain, comments } of chains) {
    if (!sees(shape, table)) continue;
    for (const key of ['iifname', 'oifname'] as const) {
      const comment = `${shape.name} ${key} ${shape.bridge}`;
      if (comments.includes(comment)) continue;
      if (mode === 'own') {
        operations.push({
          kind: 'addRule',
          table,
          chain,
          comment,
          insert: true,
          expressions: acceptOn(key, shape.bridge),
        });
        continue;
      }
      const where = `${table.family} ${table.name} ${chain}`;
      findings.push({
        table: `${table.family} ${table.name}`,
        chain,
        text: `the chain "${where}" drops forwarded packets; to let containers through: nft insert rule ${where} ${key} ${shape.bridge} accept`,
      });
    }
  }
  return { operations, findings };
}
