/**
 * Writes `src/runtime/seccomp/generated/*.ts`, the tables of system calls, from the headers of an unpacked
 * linux-libc-dev package (one of 2025 or newer, which has those of every architecture):
 * `node tools/gen-syscalls.ts FOLDER VERSION`.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './paths.ts';

interface Source {
  readonly abi: string;
  readonly headers: readonly string[];
}

const SOURCES: readonly Source[] = [
  { abi: 'x86-64', headers: ['x86/asm/unistd_64.h'] },
  { abi: 'x32', headers: ['x86/asm/unistd_x32.h'] },
  { abi: 'x86', headers: ['x86/asm/unistd_32.h'] },
  { abi: 'aarch64', headers: ['arm64/asm/unistd_64.h'] },
  { abi: 'arm', headers: ['arm/asm/unistd-eabi.h', 'arm/asm/unistd.h'] },
];
/** What a number of these headers is relative to. x32's bit is added by who uses the table. */
const BASES: Readonly<Record<string, number>> = {
  '': 0,
  __X32_SYSCALL_BIT: 0,
  __NR_SYSCALL_BASE: 0,
  __ARM_NR_BASE: 0x0f0000,
};
const DEFINITION = /^#define\s+__(?:ARM_)?NR_([a-z_0-9]+)\s+\(?\s*(?:(__\w+)\s*\+\s*)?(\d+)\s*\)?\s*$/gm;
const LINE_WIDTH = 106;

function read(folder: string, source: Source): Map<number, string> {
  const table = new Map<number, string>();
  for (const header of source.headers) {
    const text = readFileSync(join(folder, 'usr/lib/linux/uapi', header), 'utf8');
    for (const [, name = '', base = '', number] of text.matchAll(DEFINITION)) {
      const from = BASES[base];
      if (from === undefined) throw new Error(`${header}: ${name} is relative to ${base}`);
      if (name !== 'syscalls') table.set(from + Number(number), name);
    }
  }
  return table;
}

/** Names in the order of their numbers; a number stands where the counting goes on from another one. */
function words(table: ReadonlyMap<number, string>): string[] {
  let next = 0;
  return [...table]
    .toSorted(([a], [b]) => a - b)
    .flatMap(([number, name]) => {
      const jump = number === next ? [] : [String(number)];
      next = number + 1;
      return [...jump, name];
    });
}

function wrap(all: readonly string[]): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of all) {
    if (line.length + word.length + 1 > LINE_WIDTH) {
      lines.push(line);
      line = '';
    }
    line += line === '' ? word : ` ${word}`;
  }
  return line === '' ? lines : [...lines, line];
}

function render(source: Source, table: ReadonlyMap<number, string>, version: string): string {
  return [
    `// Made by tools/gen-syscalls.ts from ${source.headers.join(', ')} of Debian's linux-libc-dev ${version}.`,
    `export const ${source.abi.replaceAll('-', '_').toUpperCase()} = \``,
    ...wrap(words(table)),
    '`;',
    '',
  ].join('\n');
}

const [folder, version] = process.argv.slice(2);
if (folder === undefined || version === undefined) {
  process.stderr.write('node tools/gen-syscalls.ts FOLDER VERSION\n');
  process.exitCode = 1;
} else {
  const target = join(ROOT, 'src/runtime/seccomp/generated');
  mkdirSync(target, { recursive: true });
  for (const source of SOURCES) {
    writeFileSync(join(target, `${source.abi}.ts`), render(source, read(folder, source), version));
  }
}
