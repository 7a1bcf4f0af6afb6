/** `npm run check`: everything that can be said about the sources without running them, in parallel. */
import { spawn } from 'node:child_process';
import { join, relative } from 'node:path';
import { filesBelow } from './build-steps/target.ts';
import { ROOT } from './paths.ts';

interface Step {
  readonly name: string;
  readonly command: readonly string[];
}

const BIN = join(ROOT, 'node_modules/.bin');
const NODE = [process.execPath, '--disable-warning=ExperimentalWarning'];

function shellFiles(): string[] {
  const scripts = ['native', 'tools', 'test'].flatMap((folder) => filesBelow(join(ROOT, folder), /\.sh$/));
  const launchers = [...filesBelow(join(ROOT, 'bin'), /./), ...filesBelow(join(ROOT, '.ci'), /./)];
  return [...scripts, ...launchers].map((path) => relative(ROOT, path));
}

function steps(): Step[] {
  return [
    { name: 'types', command: [join(BIN, 'tsc'), '-p', '.'] },
    { name: 'lint', command: [join(BIN, 'oxlint'), '--type-aware', '--quiet', 'src', 'tools', 'test'] },
    { name: 'unused', command: [...NODE, join(ROOT, 'node_modules/knip/bin/knip.js'), '--no-progress'] },
    { name: 'format', command: [join(BIN, 'biome'), 'format', '--max-diagnostics=20'] },
    { name: 'layers', command: [...NODE, 'tools/check-layers.ts'] },
    { name: 'tidy', command: [...NODE, 'tools/tidy.ts'] },
    { name: 'generated', command: [...NODE, 'tools/gen-launch-plan.ts', '--check'] },
    {
      name: 'shell',
      command: ['bash', '-c', 'for f; do bash -n "$f" || exit 1; done', 'shell', ...shellFiles()],
    },
  ];
}

interface StepResult {
  readonly step: Step;
  readonly hasPassed: boolean;
  readonly output: string;
  readonly seconds: string;
}

function runStep(step: Step): Promise<StepResult> {
  const [program = '', ...args] = step.command;
  const startMs = performance.now();
  return new Promise((resolve) => {
    const env = { ...process.env, NO_COLOR: '1' };
    const child = spawn(program, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const end = (hasPassed: boolean): void => {
      const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
      resolve({ step, hasPassed, output, seconds });
    };
    child.on('error', (error) => {
      output += error.message;
      end(false);
    });
    child.on('close', (code) => end(code === 0));
  });
}

const wanted = process.argv.slice(2);
const chosen = steps().filter((step) => wanted.length === 0 || wanted.includes(step.name));
const results = await Promise.all(
  chosen.map(async (step) => {
    const result = await runStep(step);
    process.stdout.write(`${result.hasPassed ? 'ok  ' : 'FAIL'} ${step.name} (${result.seconds} s)\n`);
    return result;
  }),
);
const failed = results.filter((result) => !result.hasPassed);
for (const { step, output } of failed) process.stdout.write(`\n--- ${step.name}\n${output.trimEnd()}\n`);
process.exitCode = failed.length === 0 && chosen.length > 0 ? 0 : 1;
