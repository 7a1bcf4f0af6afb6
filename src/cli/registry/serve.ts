import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ExitWith, type Verb } from '../context.ts';

/** Beside the bundle of this program, or of these sources. */
function executable(): string {
  const [beside = '', sources = ''] = ['..', '../../..'].map((up) =>
    join(import.meta.dirname, up, 'bin/gantry-registry'),
  );
  return existsSync(beside) ? beside : sources;
}

/** Becomes `gantry-registry`, with the flags that were given: its signals, its exit code. */
export const serveRegistryCommand: Verb = async ({ command, flags, environment }) => {
  const given = command.flags
    .filter(({ long }) => flags.has(long))
    .map(({ long, type }) => `--${long}=${type === 'bool' ? String(flags.bool(long)) : flags.text(long)}`);
  const file = executable();
  if (!existsSync(file)) throw new ExitWith(1, `gantry: ${file} is missing: run 'npm run build'`);
  if (process.execve === undefined) throw new ExitWith(1, `gantry: start ${file} itself`);
  const known = Object.entries(environment).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  process.execve(file, [file, ...given], Object.fromEntries(known));
  return 1;
};
