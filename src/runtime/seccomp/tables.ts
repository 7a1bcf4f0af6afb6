import { AARCH64 } from './generated/aarch64.ts';
import { ARM } from './generated/arm.ts';
import { X32 } from './generated/x32.ts';
import { X86_64 } from './generated/x86-64.ts';
import { X86 } from './generated/x86.ts';

export type SeccompArch = 'x86_64' | 'aarch64';
export type AbiName = 'x86_64' | 'x32' | 'x86' | 'aarch64' | 'arm';
export type Numbers = ReadonlyMap<string, number>;

/** A way to make system calls: its numbers, and how wide the arguments are that a filter can compare. */
export interface Abi {
  readonly name: AbiName;
  /** Its name in `linux.seccomp.architectures`. */
  readonly scmp: string;
  /** AUDIT_ARCH_*: two may share one. */
  readonly audit: number;
  readonly bits: 32 | 64;
  /** Added to every number. */
  readonly base: number;
}

/** In the number of every x32 call, so that it can be told from one of x86_64. */
export const X32_BIT = 0x40000000;

const AUDIT_X86_64 = 0xc000003e;
export const ABIS: Readonly<Record<SeccompArch, readonly Abi[]>> = {
  x86_64: [
    { name: 'x86_64', scmp: 'SCMP_ARCH_X86_64', audit: AUDIT_X86_64, bits: 64, base: 0 },
    { name: 'x32', scmp: 'SCMP_ARCH_X32', audit: AUDIT_X86_64, bits: 32, base: X32_BIT },
    { name: 'x86', scmp: 'SCMP_ARCH_X86', audit: 0x40000003, bits: 32, base: 0 },
  ],
  aarch64: [
    { name: 'aarch64', scmp: 'SCMP_ARCH_AARCH64', audit: 0xc00000b7, bits: 64, base: 0 },
    { name: 'arm', scmp: 'SCMP_ARCH_ARM', audit: 0x40000028, bits: 32, base: 0 },
  ],
};

/** Names that a specification may have, and that can never be this machine's. */
export const FOREIGN: readonly string[] = [
  'X86',
  'X86_64',
  'X32',
  'ARM',
  'AARCH64',
  'LOONGARCH64',
  'M68K',
  'MIPS',
  'MIPS64',
  'MIPS64N32',
  'MIPSEL',
  'MIPSEL64',
  'MIPSEL64N32',
  'PPC',
  'PPC64',
  'PPC64LE',
  'RISCV64',
  'S390',
  'S390X',
  'PARISC',
  'PARISC64',
  'SH',
  'SHEB',
].map((name) => `SCMP_ARCH_${name}`);

function parse(text: string): Numbers {
  const numbers = new Map<string, number>();
  let next = 0;
  for (const word of text.trim().split(/\s+/)) {
    const number = Number(word);
    if (Number.isNaN(number)) numbers.set(word, next++);
    else next = number;
  }
  return numbers;
}

export const SYSCALLS: Readonly<Record<AbiName, Numbers>> = {
  x86_64: parse(X86_64),
  x32: parse(X32),
  x86: parse(X86),
  aarch64: parse(AARCH64),
  arm: parse(ARM),
};

/** Calls that other architectures alone have, as libseccomp and the default profile name them. */
const ELSEWHERE = `
cachectl multiplexer oldwait4 riscv_flush_icache riscv_hwprobe rtas s390_guarded_storage s390_pci_mmio_read
s390_pci_mmio_write s390_runtime_instr s390_sthyi spu_create spu_run subpage_prot swapcontext switch_endian
sync_file_range2 sys_debug_setcontext syscall sysmips timerfd
`;
const CALLS: ReadonlySet<string> = new Set([
  ...Object.values(SYSCALLS).flatMap((table) => [...table.keys()]),
  ...ELSEWHERE.trim().split(/\s+/),
]);

/** Whether any architecture has a system call of that name. */
export function isSystemCall(name: string): boolean {
  return CALLS.has(name);
}

/** Calls of x86 that are also reached through another one, whose first argument says which is meant. */
const SOCKETCALL =
  'socket bind connect listen accept getsockname getpeername socketpair send recv sendto recvfrom shutdown ' +
  'setsockopt getsockopt sendmsg recvmsg accept4 recvmmsg sendmmsg';
const IPC: Readonly<Record<string, number>> = {
  semop: 1,
  semget: 2,
  semctl: 3,
  semtimedop: 4,
  msgsnd: 11,
  msgrcv: 12,
  msgget: 13,
  msgctl: 14,
  shmat: 21,
  shmdt: 22,
  shmget: 23,
  shmctl: 24,
};

export interface Multiplexed {
  /** Name of the call that carries it. */
  readonly by: string;
  readonly selector: number;
}

export const X86_MULTIPLEXED: ReadonlyMap<string, Multiplexed> = new Map([
  ...SOCKETCALL.split(' ').map((name, i): [string, Multiplexed] => [
    name,
    { by: 'socketcall', selector: i + 1 },
  ]),
  ...Object.entries(IPC).map(([name, selector]): [string, Multiplexed] => [name, { by: 'ipc', selector }]),
]);
