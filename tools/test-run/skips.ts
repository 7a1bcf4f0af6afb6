import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../paths.ts';
import type { ReportLine } from './reporter.ts';

/**
 * Reason → what has to be there for the test to run. `forbiddenBy` names a variable that makes the skip a
 * failure.
 */
export type SkipList = Readonly<Record<string, { readonly needs: string; readonly forbiddenBy?: string }>>;

export function readSkipList(): SkipList {
  return JSON.parse(readFileSync(join(ROOT, 'test/reference/skips.json'), 'utf8')) as SkipList;
}

export interface SkipRules {
  readonly list: SkipList;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Why a skip is not accepted; undefined if it is. */
export function skipProblem(line: ReportLine, { list, env }: SkipRules): string | undefined {
  if (line.outcome !== 'skipped') return undefined;
  const known = Object.hasOwn(list, line.reason) ? list[line.reason] : undefined;
  if (known === undefined)
    return `skipped for a reason that is not in test/reference/skips.json: "${line.reason}"`;
  if (known.forbiddenBy !== undefined && (env[known.forbiddenBy] ?? '') !== '')
    return `skipped ("${line.reason}"), which ${known.forbiddenBy} forbids: this machine needs ${known.needs}`;
  return undefined;
}
