import { readFileSync } from 'node:fs';
import { errorMessage } from '#base/errors.ts';
import type { Answer } from './http.ts';

export type Verdict = 'passed' | 'failure' | 'skipped';

export interface Case {
  readonly id: string;
  readonly verdict: Verdict;
  readonly why: string;
}

export class Failure extends Error {}
/** The registry does not do what is asked here, and need not. */
export class Skip extends Error {}

export class Verdicts {
  readonly cases: Case[] = [];

  async check(id: string, work: () => Promise<void>): Promise<Verdict> {
    const [verdict, why] = await work().then(
      (): [Verdict, string] => ['passed', ''],
      (error: unknown): [Verdict, string] => [
        error instanceof Skip ? 'skipped' : 'failure',
        errorMessage(error),
      ],
    );
    this.cases.push({ id, verdict, why });
    return verdict;
  }

  /** `id` → how often each verdict was given. */
  table(): Map<string, Record<string, number>> {
    const table = new Map<string, Record<string, number>>();
    for (const { id, verdict } of this.cases) {
      const row = table.get(id) ?? {};
      table.set(id, row);
      row[verdict] = (row[verdict] ?? 0) + 1;
    }
    return table;
  }
}

export function expect(answer: Answer, ...statuses: readonly number[]): Answer {
  if (statuses.includes(answer.status)) return answer;
  throw new Failure(
    `${answer.status} instead of ${statuses.join(' or ')}: ${answer.body.toString().slice(0, 200)}`,
  );
}

export function same(found: unknown, wanted: unknown, what: string): void {
  const [a, b] = [JSON.stringify(found), JSON.stringify(wanted)];
  if (a !== b) throw new Failure(`${what}: ${a} instead of ${b}`);
}

/** An error body as the specification has it. */
export function errorCodes(answer: Answer): string[] {
  const body = JSON.parse(answer.body.toString()) as { errors?: { code?: unknown }[] };
  if (!Array.isArray(body.errors) || body.errors.length === 0) throw new Failure('no list of errors');
  return body.errors.map(({ code }) => {
    if (typeof code !== 'string' || !/^[A-Z_]+$/.test(code)) throw new Failure('an error without a code');
    return code;
  });
}

export interface RecordedSpec {
  readonly id: string;
  readonly kind: 'setup' | 'test' | 'teardown';
}

export interface RecordedId {
  readonly id: string;
  readonly dev: { readonly cases: number; readonly reference: Readonly<Record<string, number>> };
}

interface Reference {
  readonly conformance: {
    readonly v1_1_1: { readonly tests: readonly RecordedSpec[] };
    readonly main: { readonly tests: readonly RecordedId[] };
  };
  readonly errorCodes: readonly { readonly code: string; readonly message: string }[];
}

export function readReference(): Reference {
  const url = new URL('../../reference/distribution.json', import.meta.url);
  return JSON.parse(readFileSync(url, 'utf8')) as Reference;
}
