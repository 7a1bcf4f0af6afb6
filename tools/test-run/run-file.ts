import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ROOT } from '../paths.ts';
import type { ReportLine } from './reporter.ts';

export interface FileResult {
  readonly path: string;
  readonly lines: readonly ReportLine[];
  readonly hasPassed: boolean;
  readonly output: string;
  readonly durationMs: number;
}

export interface FileRun {
  readonly path: string;
  /** A folder of this run's own; tests find it as HOME. */
  readonly scratch: string;
  readonly timeLimitMs: number;
  /** Further variables of its environment. */
  readonly env?: Readonly<Record<string, string>>;
}

const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const OUTPUT_LIMIT_CHARS = 400_000;

/** Tests see nothing of the caller's environment but what is listed here. */
function testEnvironment(scratch: string): Record<string, string> {
  const own = Object.entries(process.env).filter(([name]) => name.startsWith('GANTRY_'));
  return {
    ...Object.fromEntries(own.map(([name, value]) => [name, value ?? ''])),
    PATH: `${dirname(process.execPath)}:${SYSTEM_PATH}`,
    HOME: scratch,
    LANG: 'C.UTF-8',
    TZ: 'UTC',
  };
}

function readLines(path: string): ReportLine[] {
  try {
    const text = readFileSync(path, 'utf8');
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as ReportLine);
  } catch {
    return [];
  }
}

/** Adds the failures that no test reports: a crash, a time-out, a file without tests. */
function complete(
  lines: ReportLine[],
  ending: { code: number | null; isLate: boolean; limitMs: number },
): ReportLine[] {
  const failed = (reason: string): ReportLine => ({ outcome: 'failed', name: '(the file)', reason });
  if (ending.isLate) return [...lines, failed(`not finished after ${ending.limitMs / 1000} s`)];
  if (ending.code !== 0 && !lines.some((line) => line.outcome === 'failed'))
    return [...lines, failed(`the process ended with ${ending.code ?? 'a signal'}`)];
  return lines.length === 0 ? [failed('it has no tests')] : lines;
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Nobody of the group is left.
  }
}

/** Runs one test file in a process group of its own, to its end or to the time limit. */
export function runFile({ path, scratch, timeLimitMs, env }: FileRun): Promise<FileResult> {
  mkdirSync(scratch, { recursive: true });
  const report = join(scratch, 'report.jsonl');
  const reporter = join(ROOT, 'tools/test-run/reporter.ts');
  const args = [
    '--disable-warning=ExperimentalWarning',
    ...['--test-reporter=spec', '--test-reporter-destination=stdout'],
    ...[`--test-reporter=${reporter}`, `--test-reporter-destination=${report}`],
    path,
  ];
  return new Promise((resolve) => {
    const startMs = performance.now();
    const child = spawn(process.execPath, args, {
      cwd: ROOT,
      detached: true,
      env: { ...testEnvironment(scratch), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    let isLate = false;
    const collect = (chunk: Buffer): void => {
      if (output.length < OUTPUT_LIMIT_CHARS) output += chunk.toString();
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    const timer = setTimeout(() => {
      isLate = true;
      killGroup(child.pid);
    }, timeLimitMs);
    // `exit`, not `close`: a daemon that a failed test left behind may hold the pipes open.
    child.on('exit', (code) => {
      clearTimeout(timer);
      killGroup(child.pid);
      setImmediate(() => {
        child.stdout.destroy();
        child.stderr.destroy();
        const lines = complete(readLines(report), { code, isLate, limitMs: timeLimitMs });
        const hasPassed = lines.every((line) => line.outcome !== 'failed');
        rmSync(scratch, { recursive: true, force: true });
        resolve({ path, lines, hasPassed, output, durationMs: performance.now() - startMs });
      });
    });
  });
}
