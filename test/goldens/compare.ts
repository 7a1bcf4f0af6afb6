/** Compares the results of a run with the recorded ones, group by group. Pure. */
export interface Result {
  readonly id: string;
  readonly cmd: string;
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly flaky?: readonly string[];
}

export interface GroupCount {
  readonly group: string;
  readonly comparable: number;
  readonly equal: number;
  readonly accepted: number;
  readonly different: readonly Difference[];
}

export interface Difference {
  readonly id: string;
  readonly cmd: string;
  readonly fields: readonly { readonly name: string; readonly want: string; readonly got: string }[];
}

const groupOf = (id: string): string => id.slice(0, id.indexOf('/'));

/**
 * What of `got` is not as in `want`; fields that differed between two recordings of the reference are left
 * out.
 */
export function differenceOf(want: Result, got: Result | undefined): Difference | null {
  if (got === undefined)
    return { id: want.id, cmd: want.cmd, fields: [{ name: 'case', want: 'run', got: 'not run' }] };
  const fields = (['exit', 'stdout', 'stderr'] as const)
    .filter((name) => want[name] !== got[name] && want.flaky?.includes(name) !== true)
    .map((name) => ({ name, want: String(want[name]), got: String(got[name]) }));
  return fields.length === 0 ? null : { id: want.id, cmd: want.cmd, fields };
}

export interface CompareInput {
  readonly recorded: readonly Result[];
  readonly results: ReadonlyMap<string, Result>;
  readonly notComparable: ReadonlySet<string>;
  /** id → reason why a difference stays. */
  readonly accepted: Readonly<Record<string, string>>;
  readonly groups: readonly string[];
}

export function compareGroups(input: CompareInput): GroupCount[] {
  return input.groups.map((group) => {
    const cases = input.recorded.filter((c) => groupOf(c.id) === group && !input.notComparable.has(c.id));
    const differences = cases
      .map((c) => differenceOf(c, input.results.get(c.id)))
      .filter((difference) => difference !== null);
    const isAccepted = (difference: Difference): boolean => Object.hasOwn(input.accepted, difference.id);
    return {
      group,
      comparable: cases.length,
      equal: cases.length - differences.length,
      accepted: differences.filter(isAccepted).length,
      different: differences.filter((difference) => !isAccepted(difference)),
    };
  });
}

/** What is wrong with the counts: a group below its floor, or with more than 5 % accepted. */
export function judge(counts: readonly GroupCount[], floors: Readonly<Record<string, number>>): string[] {
  const complaints: string[] = [];
  for (const count of counts) {
    const percent = (count.equal / Math.max(1, count.comparable)) * 100;
    const floor = floors[count.group];
    if (floor !== undefined && percent < floor) {
      complaints.push(`${count.group}: ${percent.toFixed(1)} % equal, the floor is ${floor} %`);
    }
    if (count.accepted > Math.floor(count.comparable * 0.05)) {
      complaints.push(`${count.group}: ${count.accepted} accepted differences are more than 5 %`);
    }
  }
  return complaints;
}
