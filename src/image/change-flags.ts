import { EngineError } from '#base/errors.ts';

/** `--name=value`, each of the allowed names once at most. Errors: `invalidArgument`. */
export function parseFlags(
  flags: readonly string[],
  allowed: readonly string[],
): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  const bad = (message: string): EngineError => new EngineError('invalidArgument', message);
  for (const flag of flags) {
    const at = flag.indexOf('=');
    const name = at < 0 ? flag.slice(2) : flag.slice(2, at);
    if (!allowed.includes(name)) throw bad(`unknown flag: --${name}${suggestion(name, allowed)}`);
    if (values.has(name)) throw bad(`duplicate flag specified: --${name}`);
    if (at < 0) throw bad(`missing a value on flag: --${name}`);
    values.set(name, flag.slice(at + 1));
  }
  return values;
}

/** The allowed name that is nearest, when it is near. */
function suggestion(name: string, allowed: readonly string[]): string {
  let nearest = '';
  let least = MOST_EDITS + 1;
  for (const candidate of allowed) {
    const edits = distance(name, candidate);
    if (edits >= least) continue;
    least = edits;
    nearest = candidate;
  }
  return nearest === '' ? '' : ` (did you mean ${nearest}?)`;
}

const MOST_EDITS = 2;

/** Characters to insert, remove or replace. Names of very different lengths are not compared. */
function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > MOST_EDITS) return MOST_EDITS + 1;
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
