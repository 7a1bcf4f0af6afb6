import { execFile } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { DIST, ROOT } from '../paths.ts';
import { filesBelow, type Target } from './target.ts';

const run = promisify(execFile);
const NATIVE = join(ROOT, 'native');
const OUTPUT = join(DIST, 'native');

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

interface NativePart {
  readonly name: string;
  /** Called with the path of what it has to make. */
  readonly script: string;
  readonly output: string;
  readonly folders: readonly string[];
}

const PARTS: readonly NativePart[] = [
  { name: 'addon', script: 'addon/build.sh', output: 'gantry.node', folders: ['addon'] },
  { name: 'shim', script: 'build.sh', output: 'gantry-shim', folders: ['shim', 'launcher'] },
  { name: 'init', script: 'init/build.sh', output: 'gantry-init', folders: ['init'] },
];

/** Programs of C, each by a shell script of its own, so that it can also be built by hand. */
export function nativeTargets(recipe: readonly string[]): Target[] {
  return PARTS.filter((part) => existsSync(join(NATIVE, part.script))).map((part) => {
    const script = join(NATIVE, part.script);
    const output = join(OUTPUT, part.output);
    const sources = part.folders.flatMap((folder) => filesBelow(join(NATIVE, folder), /\.[ch]$/));
    const run = async (): Promise<undefined> => {
      mkdirSync(OUTPUT, { recursive: true });
      await compile('sh', [script, output]);
    };
    return { name: part.name, outputs: [output], inputs: [script, ...sources, ...recipe], run };
  });
}
