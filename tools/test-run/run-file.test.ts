import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { filesBelow } from '../build-steps/target.ts';
import { ROOT } from '../paths.ts';
import { type FileResult, runFile } from './run-file.ts';
import { runLanes } from './schedule.ts';
import { readSkipList, skipProblem } from './skips.ts';

const folder = mkdtempSync(join(tmpdir(), 'gantry-runner-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function runText(name: string, text: string, timeLimitMs = 60_000): Promise<FileResult> {
  const path = join(folder, `${name}.mjs`);
  writeFileSync(path, `import { test, describe } from 'node:test';\n${text}`);
  return runFile({ path, scratch: join(folder, `${name}-scratch`), timeLimitMs });
}

function outcomes(result: FileResult): string[] {
  return result.lines.map((line) => `${line.outcome} ${line.name}`);
}

test('counts tests, not suites, and tells skips with their reason', async () => {
  const result = await runText(
    'mixed',
    `describe('suite', () => { test('a', () => {}); test('b', { skip: 'why' }, () => {}); });`,
  );
  assert.deepEqual(outcomes(result), ['passed a', 'skipped b']);
  assert.equal(result.lines[1]?.reason, 'why');
  assert.ok(result.hasPassed);
  const whole = await runText('whole', `describe('suite', { skip: 'all' }, () => { test('a', () => {}); });`);
  assert.deepEqual(outcomes(whole), ['skipped suite']);
  assert.equal(whole.lines[0]?.reason, 'all');
});

test('a failed sub-test counts once', async () => {
  const result = await runText(
    'sub',
    `test('outer', async (t) => { await t.test('inner', () => { throw new Error('no'); }); });`,
  );
  assert.deepEqual(outcomes(result), ['failed inner']);
  assert.ok(!result.hasPassed);
  assert.match(result.output, /Error: no/);
});

test('a crash and a file without tests fail', async () => {
  const crash = await runText(
    'crash',
    `test('a', () => {}); setTimeout(() => process.exit(3), 50); await 1;`,
  );
  assert.ok(!crash.hasPassed || crash.lines.length === 1);
  const fatal = await runText('fatal', `throw new Error('at load');`);
  assert.ok(!fatal.hasPassed);
  const empty = await runText('empty', '');
  assert.deepEqual(outcomes(empty), ['failed (the file)']);
});

test('the time limit takes the whole process group', async () => {
  const pidFile = join(folder, 'pid');
  const result = await runText(
    'late',
    `import { spawn } from 'node:child_process'; import { writeFileSync } from 'node:fs';
     test('hangs', async () => {
       const child = spawn('sleep', ['1000']); writeFileSync('${pidFile}', String(child.pid));
       await new Promise((resolve) => setTimeout(resolve, 1e6)); });`,
    1500,
  );
  assert.match(result.lines.at(-1)?.reason ?? '', /not finished after 1.5 s/);
  const state = join('/proc', readFileSync(pidFile, 'utf8'), 'stat');
  // Killed: gone, or a zombie until its new parent reaps it.
  assert.ok(!existsSync(state) || / [ZX] /.test(readFileSync(state, 'utf8')));
});

test('nothing of the caller reaches a test but GANTRY_ variables', async () => {
  const result = await runText(
    'env',
    `import assert from 'node:assert'; test('env', () => {
       assert.deepEqual(Object.keys(process.env).filter((n) => !n.startsWith('GANTRY_') && !n.startsWith('NODE_')).sort(),
         ['HOME', 'LANG', 'PATH', 'TZ']); });`,
  );
  assert.ok(result.hasPassed, result.output);
});

test('a skip needs a listed reason, and a variable can forbid it', () => {
  const list = { known: { needs: 'x' }, 'no cli': { needs: 'the CLI', forbiddenBy: 'STRICT' } };
  const skipped = (reason: string) => ({ outcome: 'skipped' as const, name: 't', reason });
  assert.equal(skipProblem(skipped('known'), { list, env: {} }), undefined);
  assert.match(skipProblem(skipped('toString'), { list, env: {} }) ?? '', /not in/);
  assert.equal(skipProblem(skipped('no cli'), { list, env: {} }), undefined);
  assert.match(skipProblem(skipped('no cli'), { list, env: { STRICT: '1' } }) ?? '', /forbids/);
  assert.equal(skipProblem({ outcome: 'passed', name: 't', reason: '' }, { list, env: {} }), undefined);
});

test('every reason to skip that a test gives is on the list, and nothing else is', () => {
  const reasonsForbiddenOnPurpose = ['needs root', 'needs runc and busybox', 'no valgrind'];
  const files = [
    ...['e2e', 'integration', 'torture', 'fuzz', 'support'].flatMap((folder) =>
      filesBelow(join(ROOT, 'test', folder), /\.ts$/),
    ),
    ...filesBelow(join(ROOT, 'src'), /\.test\.ts$/),
  ];
  const given = new Set<string>();
  for (const file of files) {
    const text = readFileSync(file, 'utf8');
    for (const [, reason] of text.matchAll(/(?:(?:&&|:|return) |skip\()'((?:no|needs) [^']+)'(?=[;,)])/g))
      if (/skip|cannotRun|missing/i.test(text)) given.add(reason ?? '');
  }
  for (const reason of reasonsForbiddenOnPurpose) given.delete(reason);
  assert.deepEqual([...given].sort(), Object.keys(readSkipList()).sort());
});

test('lanes keep to their widths and everything runs', async () => {
  const running = { slow: 0, all: 0 };
  const most = { slow: 0, all: 0 };
  const done: string[] = [];
  const lanes = [
    { items: ['s1', 's2', 's3', 's4', 's5'], width: 2 },
    { items: ['f1', 'f2', 'f3'], width: 3 },
  ];
  await runLanes(lanes, 3, async (item) => {
    running.all += 1;
    if (item.startsWith('s')) running.slow += 1;
    most.slow = Math.max(most.slow, running.slow);
    most.all = Math.max(most.all, running.all);
    await new Promise((resolve) => setImmediate(resolve));
    running.all -= 1;
    if (item.startsWith('s')) running.slow -= 1;
    done.push(item);
  });
  assert.equal(done.length, 8);
  assert.deepEqual(most, { slow: 2, all: 3 });
});
