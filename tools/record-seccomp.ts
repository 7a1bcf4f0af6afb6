/**
 * Records what runc and libseccomp make of seccomp profiles, as data for tests: each profile of
 * `test/reference/seccomp/profiles.json` and the default one as the filter that runc loads (as strace sees it),
 * and the numbers that libseccomp knows. Wants root, runc, strace, a C compiler and libseccomp-dev.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SpecSeccomp } from '../src/oci/runtime-spec.ts';
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

/** The last filter that a trace of raw numbers shows: `BPF_STMT(code, k)` and `BPF_JUMP(code, k, jt, jf)`, a code as `1|2|4`. */
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
  for (const [name, seccomp] of Object.entries(JSON.parse(text) as Record<string, SpecSeccomp>)) {
    if (only.length === 0 || only.includes(name)) recordProfile(folder, name, seccomp);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
