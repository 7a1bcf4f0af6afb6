/** For the tests of this room only: a scratch directory, a system call layer, and words for rules. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Expression } from '../firewall-operations.ts';
import { loadNative } from './native.ts';
import { hostU32, interfaceName } from './nft-codec.ts';
import { Sys } from './sys.ts';

export function testSys(): Sys {
  return new Sys(loadNative());
}

/** Removed when the test is over. */
export function scratch(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'gantry-host-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

type Op = 'eq' | 'neq';

const PROTOCOLS = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58, sctp: 132 } as const;
const CT_STATE = { invalid: 1, established: 2, related: 4, new: 8 } as const;
const CT_STATUS = { dnat: 1 << 5, snat: 1 << 4 } as const;

export function interfaceIs(key: 'iifname' | 'oifname', name: string, op: Op = 'eq'): readonly Expression[] {
  return [
    { kind: 'meta', key },
    { kind: 'compare', op, value: interfaceName(name) },
  ];
}

export function protocolIs(protocol: keyof typeof PROTOCOLS, op: Op = 'eq'): readonly Expression[] {
  return [
    { kind: 'meta', key: 'l4proto' },
    { kind: 'compare', op, value: Buffer.from([PROTOCOLS[protocol]]) },
  ];
}

/** Any of the states. */
export function stateIs(...states: readonly (keyof typeof CT_STATE)[]): readonly Expression[] {
  return hasBits(
    'state',
    states.reduce((bits, state) => bits | CT_STATE[state], 0),
  );
}

/** The connection was translated that way. */
export function statusIs(status: keyof typeof CT_STATUS): readonly Expression[] {
  return hasBits('status', CT_STATUS[status]);
}

function hasBits(key: 'state' | 'status', bits: number): readonly Expression[] {
  return [
    { kind: 'ct', key },
    { kind: 'bitwise', mask: hostU32(bits) },
    { kind: 'compare', op: 'neq', value: hostU32(0) },
  ];
}
