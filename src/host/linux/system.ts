import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import * as os from 'node:os';
import { join } from 'node:path';
import type { Namespaces, System, SystemFacts } from '../kernel.ts';

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** os-release(5): shell-like assignments, values perhaps quoted. */
export function parseOsRelease(text: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, name, raw] = /^\s*([A-Z0-9_]+)=(.*?)\s*$/.exec(line) ?? [];
    if (name === undefined || raw === undefined) continue;
    values.set(name, raw.replace(/^(['"])(.*)\1$/, '$2').replace(/\\(.)/g, '$1'));
  }
  return values;
}

/** What each level of the x86-64 psABI adds, in the kernel's words (`abm` has lzcnt, `pni` is SSE3). */
const AMD64_LEVELS: readonly (readonly [level: string, flags: string])[] = [
  ['v2', 'cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3'],
  ['v3', 'abm avx avx2 bmi1 bmi2 f16c fma movbe xsave'],
  ['v4', 'avx512f avx512bw avx512cd avx512dq avx512vl'],
];

/** The level of the first processor in /proc/cpuinfo. */
export function amd64Level(cpuinfo: string): string {
  const flags = new Set(/^flags\s*:\s*(.*)$/m.exec(cpuinfo)?.[1]?.split(' ') ?? []);
  let reached = 'v1';
  for (const [level, needed] of AMD64_LEVELS) {
    if (!needed.split(' ').every((flag) => flags.has(flag))) break;
    reached = level;
  }
  return reached;
}

function memoryField(meminfo: string, name: string): number {
  const kib = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(meminfo)?.[1];
  return Number(kib ?? 0) * 1024;
}

type Changing = 'hostname' | 'cpus' | 'memoryBytes' | 'swapBytes';

/** What stays as long as the host runs. */
function readLasting(): Omit<SystemFacts, Changing> {
  const osRelease = parseOsRelease(textOf('/etc/os-release') || textOf('/usr/lib/os-release'));
  const modules = textOf('/sys/kernel/security/lsm').split(',');
  return {
    kernelVersion: os.release(),
    operatingSystem: osRelease.get('PRETTY_NAME') ?? osRelease.get('NAME') ?? 'Linux',
    osVersion: osRelease.get('VERSION_ID') ?? '',
    machine: os.machine(),
    processorLevel: os.arch() === 'x64' ? amd64Level(textOf('/proc/cpuinfo')) : '',
    bootId: textOf('/proc/sys/kernel/random/boot_id').trim(),
    seccomp: textOf('/proc/sys/kernel/seccomp/actions_avail') !== '',
    apparmor: textOf('/sys/module/apparmor/parameters/enabled').trim() === 'Y',
    selinux: modules.includes('selinux') && existsSync('/sys/fs/selinux/enforce'),
    cgroupNamespaces: existsSync('/proc/self/ns/cgroup'),
    userNamespaces: existsSync('/proc/self/ns/user'),
  };
}

/** Read when somebody looks: every start of a container asks for facts, and few for these. */
const CHANGING: Pick<SystemFacts, Changing> = {
  get hostname() {
    return os.hostname();
  },
  get cpus() {
    return os.availableParallelism();
  },
  get memoryBytes() {
    return memoryField(textOf('/proc/meminfo'), 'MemTotal');
  },
  get swapBytes() {
    return memoryField(textOf('/proc/meminfo'), 'SwapTotal');
  },
};

export function createSystem(namespaces: Pick<Namespaces, 'inNetwork'>): System {
  const at = <T>(netns: number | undefined, work: () => T): T =>
    netns === undefined ? work() : namespaces.inNetwork(netns, work);
  const file = (name: string): string => join('/proc/sys', name);
  const cached: { facts?: SystemFacts } = {};
  return {
    facts: () =>
      (cached.facts ??= Object.defineProperties(
        readLasting(),
        Object.getOwnPropertyDescriptors(CHANGING),
      ) as SystemFacts),
    hasApparmorProfile: (name) =>
      textOf('/sys/kernel/security/apparmor/profiles')
        .split('\n')
        .some((line) => line.replace(/ \([a-z]+\)$/, '') === name),
    readSysctl: (name, netns) =>
      at(netns, () => (existsSync(file(name)) ? readFileSync(file(name), 'utf8').trim() : null)),
    writeSysctl: (name, value, netns) => at(netns, () => writeFileSync(file(name), value)),
  };
}
