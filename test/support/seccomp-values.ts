/** Arguments of system calls that lie on both sides of everything that a seccomp profile compares. */
import type { SpecSeccomp, SpecSeccompArg } from '../../src/oci/runtime-spec.ts';

type Abi = 'x86_64' | 'x32' | 'x86' | 'aarch64' | 'arm';
/** The lists of arguments to try for a number of an ABI. */
export type SeccompValues = (abi: Abi, number: number) => readonly (readonly bigint[])[];

const U64 = (1n << 64n) - 1n;
const MOST = 4000;
const NOTHING: readonly bigint[] = [0n, 0n, 0n, 0n, 0n, 0n];
const CARRIERS = ['socketcall', 'ipc'];

function around(value: bigint): bigint[] {
  return [value - 1n, value, value + 1n, value ^ (1n << 32n), value ^ (1n << 63n), value & 0xffff_ffffn];
}

function valuesOf({ op, value, valueTwo }: SpecSeccompArg): bigint[] {
  const first = BigInt(value);
  const second = BigInt(valueTwo ?? 0);
  const lowest = first & -first;
  const masked = op === 'SCMP_CMP_MASKED_EQ' ? [second, second ^ lowest, second | ~first, first] : [];
  return [...around(first), ...masked, 0n, U64].map((candidate) => BigInt.asUintN(64, candidate));
}

/** Every combination, or as many of them, spread evenly, as one test can bear. */
function combine(candidates: readonly (readonly bigint[])[]): bigint[][] {
  const total = candidates.reduce((product, list) => product * list.length, 1);
  const step = Math.max(1, Math.floor(total / MOST) | 1);
  const all: bigint[][] = [];
  for (let at = 0; at < total; at += step) {
    let rest = at;
    const list = candidates.map((of) => {
      const value = of[rest % of.length] ?? 0n;
      rest = Math.floor(rest / of.length);
      return value;
    });
    all.push(list);
  }
  return all;
}

export function seccompArguments(
  profile: SpecSeccomp,
  tables: Readonly<Record<Abi, ReadonlyMap<string, number>>>,
): SeccompValues {
  const compared = new Map<string, Set<bigint>[]>();
  const at = (name: string): Set<bigint>[] => {
    const sets = compared.get(name) ?? NOTHING.map(() => new Set([0n]));
    compared.set(name, sets);
    return sets;
  };
  for (const { names, args } of profile.syscalls ?? []) {
    for (const name of [...names, ...(args?.length ? CARRIERS : [])]) {
      for (const arg of args ?? []) for (const value of valuesOf(arg)) at(name)[arg.index]?.add(value);
    }
  }
  for (const name of CARRIERS) for (let i = 0; i < 26; i++) at(name)[0]?.add(BigInt(i));
  const lists = new Map([...compared].map(([name, sets]) => [name, combine(sets.map((set) => [...set]))]));
  const byNumber = new Map<string, readonly bigint[][]>();
  for (const [abi, table] of Object.entries(tables)) {
    for (const [name, number] of table) {
      const list = lists.get(name);
      if (list !== undefined) byNumber.set(`${abi} ${number}`, list);
    }
  }
  return (abi, number) => byNumber.get(`${abi} ${number}`) ?? [NOTHING];
}
