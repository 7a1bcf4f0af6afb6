import type { ReportLine } from '../test-run/reporter.ts';
import { readSkipList, skipProblem } from '../test-run/skips.ts';

const CUT = 'cut-power';
/** Where the machine sees the repository. */
const PLACE = '/mnt/';
const UNKNOWN = '(no file)';
const OWN_FOLDER = 'test/vm/';
const NOTHING: FileCount = { passed: 0, failed: 0, skipped: 0, seconds: 0 };
const WORDS = { passed: 'ok  ', failed: 'FAIL', skipped: 'skip' } as const;

type Outcome = ReportLine['outcome'];

interface FileCount extends Readonly<Record<Outcome, number>> {
  readonly seconds: number;
}

function outcomeOf(line: string): ReportLine | undefined {
  if (!line.startsWith('{"outcome":')) return undefined;
  return JSON.parse(line) as ReportLine;
}

function share({ passed, failed, skipped }: Omit<FileCount, 'seconds'>): string {
  return `${passed} of ${passed + failed}${skipped === 0 ? '' : `, ${skipped} skipped`}`;
}

/** Counts what the machine tells, and says it in tables that fit docs/RELIABILITY.md. */
export class Tally {
  readonly #print: (line: string) => void;
  readonly #skips = readSkipList();
  readonly #files = new Map<string, FileCount>();

  constructor(print: (line: string) => void) {
    this.#print = print;
  }

  readonly take = (line: string): 'cut' | undefined => {
    if (line === CUT) return 'cut';
    const result = outcomeOf(line);
    if (result === undefined) {
      this.#print(line);
      return undefined;
    }
    const file = result.file?.replace(PLACE, '') ?? UNKNOWN;
    const outcome = this.#judge(file, result);
    this.#count(file, outcome, result.durationMs ?? 0);
    this.#print(`${WORDS[outcome]} ${result.name}`);
    if (result.reason !== '') this.#print(result.reason.replaceAll(/^/gm, '     '));
    return undefined;
  };

  /** A skip is a failure where tests are made for this machine; of others, when the list does not know it. */
  #judge(file: string, result: ReportLine): Outcome {
    if (result.outcome !== 'skipped') return result.outcome;
    const isKnown = skipProblem(result, { list: this.#skips, env: {} }) === undefined;
    return isKnown && !file.startsWith(OWN_FOLDER) ? 'skipped' : 'failed';
  }

  fail(why: string): void {
    this.#count(UNKNOWN, 'failed', 0);
    this.#print(`FAIL ${why}`);
  }

  has(file: string): boolean {
    return this.#files.has(file);
  }

  #count(file: string, outcome: Outcome, durationMs: number): void {
    const count = this.#files.get(file) ?? NOTHING;
    const seconds = count.seconds + durationMs / 1000;
    this.#files.set(file, { ...count, [outcome]: count[outcome] + 1, seconds });
  }

  /** Of all files. */
  count(outcome: Outcome): number {
    return [...this.#files.values()].reduce((sum, count) => sum + count[outcome], 0);
  }

  /** A row per file, then the row of the whole run. */
  tables(date: string, commit: string): string {
    const rows = [...this.#files].map(
      ([file, count]) => `| \`${file}\` | ${share(count)} | ${count.seconds.toFixed(0)} s |`,
    );
    const names = [...this.#files.keys()].map((file) =>
      file.replace(/^test\/(vm\/)?/, '').replace(/\.test\.ts$/, ''),
    );
    const [passed, failed, skipped] = [this.count('passed'), this.count('failed'), this.count('skipped')];
    const total = share({ passed, failed, skipped });
    return ['| File | Passed | Time |', '|---|---|---|', ...rows, '']
      .concat(`| ${date} | \`${commit}\` | ${names.join(', ')} | ${total} |`)
      .join('\n');
  }
}
