import type { TestEvent } from 'node:test/reporters';

/** One line of JSON per finished test: what the runner counts. Suites only group tests and are left out. */
export interface ReportLine {
  readonly outcome: 'passed' | 'failed' | 'skipped';
  readonly name: string;
  /** Why it was skipped, or how it failed. */
  readonly reason: string;
  readonly file?: string;
  readonly durationMs?: number;
}

function reasonOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function lineOf(event: TestEvent): ReportLine | undefined {
  if (event.type !== 'test:pass' && event.type !== 'test:fail') return undefined;
  const { name, skip, todo, details } = event.data;
  // A suite that is skipped tells nothing of the tests in it: it stands for them.
  if (skip !== undefined && skip !== false) return { outcome: 'skipped', name, reason: reasonOf(skip) };
  if (details.type === 'suite' && event.type === 'test:pass') return undefined;
  // A test marked `todo` hides a failure as well as a skip does, so it is judged like a skip without a
  // reason.
  if (todo !== undefined && todo !== false) return { outcome: 'skipped', name, reason: reasonOf(todo) };
  if (event.type === 'test:pass') return { outcome: 'passed', name, reason: '' };
  const error = 'error' in details ? (details.error as Error & { failureType?: string }) : undefined;
  // A failed sub-test fails its parents: count what failed by itself only.
  if (error?.failureType === 'subtestsFailed') return undefined;
  return { outcome: 'failed', name, reason: error?.message ?? '' };
}

export default async function* report(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of source) {
    const line = lineOf(event);
    if (line === undefined) continue;
    const { file, details } = event.data as { file?: string; details?: { duration_ms: number } };
    yield `${JSON.stringify({ ...line, file, durationMs: details?.duration_ms })}\n`;
  }
}
