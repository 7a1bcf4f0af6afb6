import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { DIST, ROOT } from '../paths.ts';
import { filesBelow, type Target } from './target.ts';

const run = promisify(execFile);
const NATIVE = join(ROOT, 'native');
const OUTPUT = join(DIST, 'native');
const COMPILER_FLAGS = [
  '-std=gnu11',
  '-O2',
  '-g',
  '-fPIC',
  '-shared',
  '-fvisibility=hidden',
  '-Wall',
  '-Wextra',
];

/** Runs a compiler; its messages are what the developer needs, so they are the error. */
async function compile(program: string, args: readonly string[]): Promise<void> {
  try {
    const { stderr } = await run(program, [...args], { cwd: ROOT, maxBuffer: 1 << 26 });
    if (stderr !== '') process.stderr.write(stderr);
  } catch (error) {
    const output = error as { stderr?: string; stdout?: string; message: string };
    throw new Error(`${program} failed:\n${output.stdout ?? ''}${output.stderr || output.message}`);
  }
}

async function buildAddon(sources: readonly string[], output: string): Promise<undefined> {
  mkdirSync(OUTPUT, { recursive: true });
  const staged = `${output}.${process.pid}.new`;
  const headers = join(ROOT, 'node_modules/node-api-headers/include');
  try {
    await compile('cc', [...COMPILER_FLAGS, '-I', headers, '-o', staged, ...sources]);
    renameSync(staged, output);
  } finally {
    rmSync(staged, { force: true });
  }
}

export function nativeTargets(recipe: readonly string[]): Target[] {
  const targets: Target[] = [];
  const addonFiles = filesBelow(join(NATIVE, 'addon'), /\.[ch]$/);
  const addonSources = addonFiles.filter((path) => path.endsWith('.c'));
  if (addonSources.length > 0) {
    const output = join(OUTPUT, 'gantry.node');
    const inputs = [...addonFiles, ...recipe];
    targets.push({ name: 'addon', outputs: [output], inputs, run: () => buildAddon(addonSources, output) });
  }
  const script = join(NATIVE, 'build.sh');
  if (existsSync(script)) {
    const inputs = [script, ...filesBelow(join(NATIVE, 'shim'), /\.[ch]$/), ...recipe];
    const outputs = [join(OUTPUT, 'gantry-shim')];
    targets.push({ name: 'shim', outputs, inputs, run: () => compile('sh', [script]).then(() => undefined) });
  }
  return targets;
}
