/**
 * Records what runc and libseccomp make of seccomp profiles, as data for tests: each profile of
 * `test/reference/seccomp/profiles.json` and the default one as the filter that runc loads (as strace sees
 * it), and the numbers that libseccomp knows. Wants root, runc, strace, a C compiler and libseccomp-dev.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SpecSeccomp, SpecSyscall } from '../src/oci/runtime-spec.ts';
import { ROOT } from './paths.ts';

const TARGET = join(ROOT, 'test/reference/seccomp');
const TRACE_SECONDS = 3;
const ABIS = ['X86_64', 'X32', 'X86', 'AARCH64', 'ARM'];
const RESOLVER = `#include <seccomp.h>
#include <stdio.h>
#include <string.h>
int main(void) {
  const unsigned archs[] = {${ABIS.map((abi) => `SCMP_ARCH_${abi}`).join(', ')}};
  char name[128];
  while (fgets(name, sizeof(name), stdin)) {
    name[strcspn(name, "\\n")] = 0;
    printf("%s", name);
    for (int i = 0; i < ${ABIS.length}; i++) printf(" %d", seccomp_syscall_resolve_name_arch(archs[i], name));
    puts("");
  }
}
`;

/**
 * Reads `default`, then lines of `action name count {argument operator value value}`, and exports for arm64.
 */
const EXPORTER = `#include <seccomp.h>
#include <stdio.h>
int main(void) {
  unsigned action, other;
  char name[128];
  int count;
  if (scanf("%u", &action) != 1) return 1;
  scmp_filter_ctx filter = seccomp_init(action);
  seccomp_arch_add(filter, SCMP_ARCH_AARCH64);
  seccomp_arch_add(filter, SCMP_ARCH_ARM);
  seccomp_arch_remove(filter, SCMP_ARCH_X86_64);
  while (scanf("%u %127s %d", &other, name, &count) == 3) {
    struct scmp_arg_cmp args[6] = {0};
    for (int i = 0; i < count; i++) {
      unsigned index, op;
      unsigned long value, second;
      if (scanf("%u %u %lu %lu", &index, &op, &value, &second) != 4) return 1;
      args[i] = (struct scmp_arg_cmp){index, op, value, second};
    }
    int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR || other == action) continue;
    if (seccomp_rule_add_array(filter, other, number, count, args) != 0) return 2;
  }
  return seccomp_export_bpf(filter, 1) != 0;
}
`;
const OPERATORS = ['', 'NE', 'LT', 'LE', 'EQ', 'GE', 'GT', 'MASKED_EQ'];
const ACTIONS: Readonly<Record<string, number>> = {
  SCMP_ACT_KILL: 0,
  SCMP_ACT_KILL_PROCESS: 0x80000000,
  SCMP_ACT_TRAP: 0x00030000,
  SCMP_ACT_ERRNO: 0x00050000,
  SCMP_ACT_TRACE: 0x7ff00000,
  SCMP_ACT_LOG: 0x7ffc0000,
  SCMP_ACT_ALLOW: 0x7fff0000,
};

function ruleLines({ names, action, errnoRet = 1, args = [] }: SpecSyscall): string[] {
  const value = (ACTIONS[action] ?? 0) + (/ERRNO|TRACE/.test(action) ? errnoRet : 0);
  const isRepeated = new Set(args.map(({ index }) => index)).size < args.length;
  const alternatives = isRepeated ? args.map((arg) => [arg]) : [args];
  return names.flatMap((name) =>
    alternatives.map((all) => {
      const texts = all.map(
        ({ index, op, value: first, valueTwo = 0 }) =>
          `${index} ${OPERATORS.indexOf(op.replace('SCMP_CMP_', ''))} ${first} ${valueTwo}`,
      );
      return [value, name, all.length, ...texts].join(' ');
    }),
  );
}

/** runc makes no filter for another machine: libseccomp alone, with a default that runc adds nothing to. */
function recordArm(program: string, name: string, seccomp: SpecSeccomp): void {
  const lines = (seccomp.syscalls ?? []).flatMap(ruleLines);
  const input = [ACTIONS.SCMP_ACT_LOG, ...lines, ''].join('\n');
  writeFileSync(join(TARGET, 'arm64', `${name}.bpf`), execFileSync(program, { input }));
}

function recordNumbers(folder: string): void {
  const header = readFileSync('/usr/include/seccomp-syscalls.h', 'utf8');
  const names = [...header.matchAll(/__[SP]NR_([a-z_0-9]+)/g)].map(([, name = '']) => name);
  const program = join(folder, 'resolve');
  execFileSync('cc', ['-x', 'c', '-', '-o', program, '-lseccomp'], { input: RESOLVER });
  const input = `${[...new Set(names)].toSorted().join('\n')}\n`;
  const lines = execFileSync(program, { input, encoding: 'utf8' });
  const version = execFileSync('pkg-config', ['--modversion', 'libseccomp'], { encoding: 'utf8' }).trim();
  const head = `# libseccomp ${version}; negative: it has no number of its own\nname ${ABIS.join(' ').toLowerCase()}\n`;
  writeFileSync(join(TARGET, 'libseccomp-numbers.txt'), head + lines);
}

/**
 * The last filter that a trace of raw numbers shows: `BPF_STMT(code, k)` and `BPF_JUMP(code, k, jt, jf)`, a
 * code as `1|2|4`.
 */
function filterIn(trace: string): Buffer {
  const call = trace.split('\n').findLast((line) => line.includes('filter=[BPF_'));
  if (call === undefined) throw new Error('no filter was loaded');
  const instructions = [...call.matchAll(/BPF_(?:STMT|JUMP)\(([^)]*)\)/g)].map(([, fields = '']) => {
    const numbers = fields
      .split(',')
      .map((field) => field.split('|').reduce((bits, bit) => bits | Number(bit), 0) >>> 0);
    const [code = 0, constant = 0, whenTrue = 0, whenFalse = 0] = numbers;
    const bytes = Buffer.alloc(8);
    bytes.writeUInt16LE(code);
    bytes.writeUInt8(whenTrue, 2);
    bytes.writeUInt8(whenFalse, 3);
    bytes.writeUInt32LE(constant, 4);
    return bytes;
  });
  return Buffer.concat(instructions);
}

/** A filter that kills one thread of runc leaves the others waiting for ever. */
function endLeftovers(id: string): void {
  const lists = ['pids/', 'unified/', ''].map((hierarchy) => `/sys/fs/cgroup/${hierarchy}${id}/cgroup.procs`);
  for (const list of lists.filter((path) => existsSync(path))) {
    for (const pid of readFileSync(list, 'utf8').split('\n').filter(Boolean))
      process.kill(Number(pid), 'SIGKILL');
  }
  spawnSync('sleep', ['0.2']);
  spawnSync('find', ['/sys/fs/cgroup', '-depth', '-type', 'd', '-name', id, '-exec', 'rmdir', '{}', '+']);
}

function recordProfile(folder: string, name: string, seccomp: SpecSeccomp): void {
  const bundle = join(folder, name);
  mkdirSync(join(bundle, 'rootfs'), { recursive: true });
  // It must be there, before the filter is loaded; whether it can run does not matter.
  writeFileSync(join(bundle, 'rootfs/nothing'), '', { mode: 0o755 });
  execFileSync('runc', ['spec'], { cwd: bundle });
  const path = join(bundle, 'config.json');
  const config = JSON.parse(readFileSync(path, 'utf8')) as {
    process: { terminal: boolean; args: string[] };
    linux: { seccomp: SpecSeccomp; resources?: unknown };
  };
  config.process.terminal = false;
  config.process.args = ['/nothing'];
  config.linux.seccomp = seccomp;
  delete config.linux.resources;
  writeFileSync(path, JSON.stringify(config));
  const out = join(bundle, 'trace');
  const strace = ['-f', '-v', '-X', 'raw', '-e', 'trace=prctl,seccomp', '-o', out];
  const id = `record-seccomp-${process.pid}-${name}`;
  const runc = ['runc', '--root', join(folder, 'state'), 'run', '--no-pivot', id];
  const traced = ['--signal=KILL', String(TRACE_SECONDS), 'strace', ...strace, ...runc];
  const { stderr } = spawnSync('timeout', traced, { cwd: bundle, encoding: 'utf8' });
  endLeftovers(id);
  try {
    writeFileSync(join(TARGET, `${name}.bpf`), filterIn(readFileSync(out, 'utf8')));
  } catch (error) {
    process.stderr.write(`${name}: ${stderr}${String(error)}\n`);
    process.exitCode = 1;
  }
}

const folder = mkdtempSync(join(tmpdir(), 'record-seccomp-'));
try {
  recordNumbers(folder);
  const text = readFileSync(join(TARGET, 'profiles.json'), 'utf8');
  const only = process.argv.slice(2);
  const exporter = join(folder, 'export');
  execFileSync('cc', ['-x', 'c', '-', '-o', exporter, '-lseccomp'], { input: EXPORTER });
  mkdirSync(join(TARGET, 'arm64'), { recursive: true });
  for (const [name, seccomp] of Object.entries(JSON.parse(text) as Record<string, SpecSeccomp>)) {
    if (only.length > 0 && !only.includes(name)) continue;
    recordProfile(folder, name, seccomp);
    recordArm(exporter, name, seccomp);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
