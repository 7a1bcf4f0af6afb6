/**
 * `npm test [-- PATH…]`: builds, runs every `*.test.ts` in a process of its own and looks for what the run
 * left behind. A file that fails beside others runs once more alone: if it passes then, it is reported as
 * flaky and counts as passed.
 *
 * Containers are started by our own launcher. `GANTRY_TEST_RUNTIME=runc npm test [-- PATH…]` runs the same
 * files with an OCI runtime; a few of them run with runc every time.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { buildAll } from './build.ts';
import { filesBelow, make } from './build-steps/target.ts';
import { ROOT } from './paths.ts';
import { debianTarget } from './set-up/debian.ts';
import { findLeaks, machineState } from './test-run/machine-state.ts';
import { type FileResult, runFile } from './test-run/run-file.ts';
import { runLanes } from './test-run/schedule.ts';
import { readSkipList, skipProblem } from './test-run/skips.ts';

const FILES_AT_ONCE = 3;
const KERNEL_FILES_AT_ONCE = 2;
const TIME_LIMIT_MS = 180_000;
const LEAK_PATIENCE_MS = 30_000;
/** Files here start daemons and containers. */
const KERNEL_FOLDERS = ['e2e', 'integration', 'torture', 'fuzz', 'goldens', 'bench'].map(
  (name) => `test/${name}/`,
);

/** What depends most on who starts containers: start, exec, terminal, exit, a daemon that goes and comes. */
const ALSO_WITH_RUNC: ReadonlySet<string> = new Set([
  'test/integration/runtime/task.test.ts',
  'test/integration/runtime/restart.test.ts',
  'test/e2e/killed-daemon.test.ts',
  'test/e2e/joined-namespaces.test.ts',
  'test/e2e/walkthroughs/01-hello.test.ts',
  'test/e2e/walkthroughs/15-limits.test.ts',
]);
const WITH_RUNC = ' with runc';

function withVariants(files: readonly string[]): string[] {
  const isChosen = (process.env['GANTRY_TEST_RUNTIME'] ?? '') !== '';
  const again = isChosen ? [] : files.filter((path) => ALSO_WITH_RUNC.has(path));
  return [...files, ...again.map((path) => path + WITH_RUNC)];
}

/** One run of a file, or of its variant; the result has the variant's name. */
async function runVariant(name: string, scratch: string): Promise<FileResult> {
  const isVariant = name.endsWith(WITH_RUNC);
  const path = isVariant ? name.slice(0, -WITH_RUNC.length) : name;
  const env = isVariant ? { GANTRY_TEST_RUNTIME: 'runc' } : {};
  return { ...(await runFile({ path, scratch, timeLimitMs: TIME_LIMIT_MS, env })), path: name };
}

function findFiles(limits: readonly string[]): string[] {
  const all = ['src', 'tools', 'test'].flatMap((folder) => filesBelow(join(ROOT, folder), /\.test\.ts$/));
  // test/vm needs a virtual machine: `npm run test:vm`.
  const files = all.map((path) => relative(ROOT, path)).filter((path) => !path.startsWith('test/vm/'));
  if (limits.length === 0) return files;
  const wanted = limits.map((limit) => relative(ROOT, resolve(limit)));
  const chosen = files.filter((path) => wanted.some((want) => path === want || path.startsWith(`${want}/`)));
  if (chosen.length === 0) throw new Error(`no test file under ${wanted.join(', ')}`);
  return chosen;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function printResult(result: FileResult, suffix = ''): void {
  const seconds = (result.durationMs / 1000).toFixed(1);
  print(
    `${result.hasPassed ? 'ok  ' : 'FAIL'} ${result.path} (${result.lines.length} in ${seconds} s)${suffix}`,
  );
}

function indent(text: string): string {
  return text.trimEnd().replaceAll(/^/gm, '    ');
}

interface RunResults {
  readonly results: FileResult[];
  /** Files whose first run failed: it may have been ended before it cleaned up. */
  readonly broken: readonly string[];
}

/** Runs all files; the answer holds one result per file, the last one that counts. */
async function runFiles(files: readonly string[], scratch: string): Promise<RunResults> {
  const results = new Map<string, FileResult>();
  const work = async (path: string): Promise<void> => {
    const result = await runVariant(path, join(scratch, path.replaceAll(/[/ ]/g, '-')));
    results.set(path, result);
    printResult(result);
  };
  const isKernelFile = (path: string): boolean => KERNEL_FOLDERS.some((folder) => path.startsWith(folder));
  const lanes = [
    { items: files.filter(isKernelFile), width: KERNEL_FILES_AT_ONCE },
    { items: files.filter((path) => !isKernelFile(path)), width: FILES_AT_ONCE },
  ];
  await runLanes(lanes, FILES_AT_ONCE, work);
  const broken = [...results.values()].filter((result) => !result.hasPassed);
  for (const first of broken) {
    const second = await runVariant(first.path, join(scratch, 'again'));
    results.set(first.path, second);
    if (second.hasPassed) {
      print(
        `\n!!! flaky: ${first.path} failed beside others and passes alone. Its first output:\n${indent(first.output)}\n`,
      );
    } else {
      print(`\n=== ${first.path} failed twice; its second output:\n${indent(second.output)}\n`);
    }
    printResult(second, ' alone');
  }
  return { results: [...results.values()], broken: broken.map((result) => result.path) };
}

function printSlowest(results: readonly FileResult[]): void {
  const slow = results.filter((r) => r.durationMs > 10_000).sort((a, b) => b.durationMs - a.durationMs);
  if (slow.length === 0) return;
  print(
    `slowest: ${slow
      .slice(0, 5)
      .map((r) => `${r.path} ${(r.durationMs / 1000).toFixed(0)} s`)
      .join(', ')}`,
  );
}

/**
 * Reports everything that fails the run although no test failed; returns how many such problems there are.
 */
async function countProblems(
  results: readonly FileResult[],
  before: ReadonlySet<string>,
  areLeaksFailures: boolean,
): Promise<number> {
  const rules = { list: readSkipList(), env: process.env };
  const problems = results.flatMap((result) =>
    result.lines.flatMap((line) => {
      const problem = skipProblem(line, rules);
      return problem === undefined ? [] : [`${result.path}: ${line.name}: ${problem}`];
    }),
  );
  for (const problem of problems) print(`FAIL ${problem}`);
  const leaks = await findLeaks(before, LEAK_PATIENCE_MS);
  for (const leak of leaks)
    print(`${areLeaksFailures ? 'FAIL' : 'note'} left behind (or started by somebody else): ${leak}`);
  return problems.length + (areLeaksFailures ? leaks.length : 0);
}

async function main(): Promise<void> {
  const limits = process.argv.slice(2);
  const files = findFiles(limits);
  await buildAll();
  // Made once, and longer than a test file may take beside others.
  if (files.includes('test/e2e/real-images.test.ts')) await make(debianTarget());
  const before = machineState();
  const scratch = mkdtempSync(join(tmpdir(), 'gantry-test-'));
  try {
    const { results, broken } = await runFiles(withVariants(files), scratch);
    printSlowest(results);
    // Every test looks for its own leaks; of a run that was cut off, what stays cannot be told from a leak.
    const problems = await countProblems(results, before, limits.length === 0 && broken.length === 0);
    const count = (outcome: string): number =>
      results.reduce(
        (sum, result) => sum + result.lines.filter((line) => line.outcome === outcome).length,
        0,
      );
    const failed = count('failed') + problems;
    print(`${count('passed')} passed, ${failed} failed, ${count('skipped')} skipped`);
    process.exitCode = failed === 0 ? 0 : 1;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

try {
  await main();
} catch (error) {
  print(error instanceof Error ? error.message : String(error));
  print('0 passed, 1 failed, 0 skipped');
  process.exitCode = 1;
}
