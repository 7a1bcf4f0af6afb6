/**
 * Writes `docs/api/compatibility.md`: every endpoint of the Engine API with its status, the tests that show
 * it, and the systems on which these tests passed. Facts about the API come from
 * `test/reference/endpoints.json`, the rest from `docs/api/evidence.json`, which is kept by hand; both are
 * held against the daemon's own table of routes. `--check` only says what is not as it should be.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EngineError } from '#base/errors.ts';
import type { Backends } from '../src/daemon/server/backends.ts';
import type { Call } from '../src/daemon/server/call.ts';
import { statusOf } from '../src/daemon/server/http-status.ts';
import { Router } from '../src/daemon/server/router.ts';
import { allRoutes } from '../src/daemon/server/routes/all.ts';
import { unsupportedRoutes } from '../src/daemon/server/routes/unsupported.ts';
import { ROOT } from './paths.ts';

const PAGE = 'docs/api/compatibility.md';
const GOLDENS = 'goldens:';

interface Endpoint {
  readonly m: string;
  readonly path: string;
  /** Name of the operation in the API's description; routes beyond the description have none. */
  readonly op?: string;
  readonly tag: string;
  readonly since?: string;
}

interface Served {
  /** `untested`: the route does something, and no test asks it through the API. */
  readonly status: 'works' | 'partly' | 'untested';
  readonly note?: string;
  /** Files, or `goldens:<group>`: recorded commands of the reference engine that use this endpoint. */
  readonly tests: readonly string[];
}

interface Run {
  readonly system: string;
  readonly date: string;
  /** Of the tests named above, those that passed there. */
  readonly tests: readonly string[];
}

export interface Evidence {
  readonly operations: Readonly<Record<string, Served>>;
  readonly passed: readonly Run[];
  /** A run of `npm run goldens`: equal and comparable results per group. */
  readonly recorded: {
    readonly date: string;
    readonly system: string;
    readonly groups: Readonly<Record<string, readonly [equal: number, comparable: number]>>;
  };
}

export interface Facts {
  readonly endpoints: readonly Endpoint[];
  readonly evidence: Evidence;
  /** Commands in the recording, by group. */
  readonly steps: ReadonlyMap<string, number>;
  /** What a request to an endpoint meets: a verb, or the status of a refusal. */
  readonly answer: (endpoint: Endpoint) => Promise<'served' | number>;
  readonly hasTest: (name: string) => boolean;
}

function key(endpoint: Endpoint): string {
  return endpoint.op ?? `${endpoint.m} ${endpoint.path}`;
}

/** How the daemon's own routes answer; the verbs behind them are not called. */
function answerOfRoutes(): Facts['answer'] {
  const refusals = unsupportedRoutes(null);
  const isRefusal = new Set(refusals.map(([method, pattern]) => `${method} ${pattern}`));
  const verbs = allRoutes({} as Backends).filter(
    ([method, pattern]) => !isRefusal.has(`${method} ${pattern}`),
  );
  const served = new Router(verbs);
  const refused = new Router(refusals);
  return async ({ m, path }) => {
    const sample = path.replace(/\{\w+\}/g, 'x');
    if (served.find(m, sample) !== null) return 'served';
    const match = refused.find(m, sample);
    if (match === null) return 404;
    try {
      await match.handler({} as Call);
    } catch (error) {
      if (error instanceof EngineError) return statusOf(error);
      throw error;
    }
    return 'served';
  };
}

/** What is wrong with the evidence; empty when it fits the routes and the files. */
export async function problemsOf(facts: Facts): Promise<string[]> {
  const { endpoints, evidence, answer, hasTest } = facts;
  const problems: string[] = [];
  const known = new Set(endpoints.map(key));
  for (const name of Object.keys(evidence.operations))
    if (!known.has(name)) problems.push(`${name}: no such operation`);
  for (const endpoint of endpoints) {
    const entry = evidence.operations[key(endpoint)];
    const found = await answer(endpoint);
    if (found === 'served' && entry === undefined)
      problems.push(`${key(endpoint)}: served, but without an entry`);
    if (found !== 'served' && entry !== undefined)
      problems.push(`${key(endpoint)}: has an entry, but answers ${found}`);
  }
  for (const [name, { status, tests, note }] of Object.entries(evidence.operations)) {
    if ((status === 'untested') !== (tests.length === 0))
      problems.push(`${name}: ${status} with ${tests.length} tests`);
    if (status === 'partly' && note === undefined) problems.push(`${name}: partly, and nothing says what`);
  }
  const named = [...Object.values(evidence.operations), ...evidence.passed].flatMap(({ tests }) => tests);
  for (const test of new Set(named)) if (!hasTest(test)) problems.push(`${test}: no such test`);
  return problems;
}

const HEAD = `# Compatibility with the Engine API

Written by \`tools/gen-compatibility.ts\` from the daemon's routes and from \`docs/api/evidence.json\`; not edited by hand.

- **works**: the whole operation, shown by the tests named. **partly**: the note says what is missing.
- **untested**: the daemon does it, and no test asks for it through the API yet.
- **501**: known and not there yet; the answer says so. **503**: what an engine outside of a swarm answers;
  this one always is outside. **404**: no such page.
- *goldens* names a group of \`npm run goldens\` that has recorded commands for this operation; the last section
  counts how many of their results are equal.
- *Passed on* names the systems on which tests of this row passed; nothing there: not run yet, so not known.
`;

const LINK = '../../';

function testCell(test: string): string {
  if (test.startsWith(GOLDENS)) return `*goldens ${test.slice(GOLDENS.length)}*`;
  const short = test.replace(/^test\//, '').replace(/\.test\.ts$/, '');
  return `[${short}](${LINK}${test})`;
}

function passedOn(evidence: Evidence, tests: readonly string[]): string {
  return evidence.passed
    .map((run, i) => (run.tests.some((test) => tests.includes(test)) ? String.fromCodePoint(65 + i) : ''))
    .filter((letter) => letter !== '')
    .join(' ');
}

function row(endpoint: Endpoint, found: 'served' | number, evidence: Evidence): string {
  const entry = evidence.operations[key(endpoint)];
  const status = found === 'served' ? `**${entry?.status ?? '?'}**` : String(found);
  const note = entry?.note === undefined ? '' : `: ${entry.note}`;
  const tests = entry?.tests ?? [];
  const cells = [
    `\`${endpoint.m} ${endpoint.path}\``,
    endpoint.since ?? '',
    `${status}${note}`,
    tests.map(testCell).join(', '),
    passedOn(evidence, tests),
  ];
  return `| ${cells.join(' | ')} |`;
}

function summary(statuses: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const status of statuses) counts.set(status, (counts.get(status) ?? 0) + 1);
  const order = ['works', 'partly', 'untested', '501', '503', '404'];
  return order.map((status) => `${counts.get(status) ?? 0} ${status}`).join(' · ');
}

export async function renderPage(facts: Facts): Promise<string> {
  const { endpoints, evidence, answer } = facts;
  const documented = endpoints.filter((endpoint) => endpoint.op !== undefined);
  const sections = new Map<string, Endpoint[]>();
  for (const endpoint of endpoints) {
    const title = endpoint.op === undefined ? 'Beyond the description' : endpoint.tag;
    sections.set(title, [...(sections.get(title) ?? []), endpoint]);
  }
  const answers = new Map<Endpoint, 'served' | number>();
  for (const endpoint of endpoints) answers.set(endpoint, await answer(endpoint));
  const statuses = documented.map((endpoint) => {
    const found = answers.get(endpoint) ?? 404;
    return found === 'served' ? (evidence.operations[key(endpoint)]?.status ?? '?') : String(found);
  });
  const systems = evidence.passed.map(
    (run, i) => `- **${String.fromCodePoint(65 + i)}**: ${run.system}, ${run.date}`,
  );
  const lines = [HEAD, `${documented.length} operations of API 1.51: ${summary(statuses)}`, ''];
  lines.push('Systems:', '', ...(systems.length === 0 ? ['- none yet'] : systems));
  for (const [title, rows] of sections) {
    lines.push(
      '',
      `## ${title}`,
      '',
      '| Endpoint | Since | Status | Tests | Passed on |',
      '|---|---|---|---|---|',
    );
    lines.push(...rows.map((endpoint) => row(endpoint, answers.get(endpoint) ?? 404, evidence)));
  }
  lines.push(...recordedSection(evidence, facts.steps));
  return `${lines.join('\n')}\n`;
}

function recordedSection({ recorded }: Evidence, steps: Facts['steps']): string[] {
  const rows = Object.entries(recorded.groups).map(([group, [equal, comparable]]) => {
    const percent = ((equal / comparable) * 100).toFixed(0);
    return `| ${group} | ${equal} | ${comparable} | ${percent} | ${steps.get(group) ?? 0} |`;
  });
  return [
    '',
    '## Recorded results',
    '',
    'Commands of the docker CLI whose results the reference engine (28.5.2) left in `test/reference/goldens`, run here: equal means exit',
    `code, standard output and standard error. System ${recorded.system}, ${recorded.date}; \`npm run goldens -- --verbose\` shows each difference.`,
    '',
    '| Group | Equal | Comparable | % | Commands |',
    '|---|---|---|---|---|',
    ...rows,
    '',
    'What of the commands is not comparable only prepares others, has no recorded result, or had one that another time or place changes.',
  ];
}

/** Commands of each group, with those that have no result to compare. */
function stepsOfGroups(): ReadonlyMap<string, number> {
  const text = readFileSync(join(ROOT, 'test/reference/goldens/steps.jsonl'), 'utf8');
  const steps = new Map<string, number>();
  for (const [, group = ''] of text.matchAll(/^\{.*"id": ?"(\w+)\//gm))
    steps.set(group, (steps.get(group) ?? 0) + 1);
  return steps;
}

function recordedGroups(): ReadonlySet<string> {
  const text = readFileSync(join(ROOT, 'test/reference/goldens/results.jsonl'), 'utf8');
  const ids = text.matchAll(/^\{"id":"(\w+)\//gm);
  return new Set([...ids].map((match) => match[1] ?? ''));
}

function readJsonFile(path: string): unknown {
  return JSON.parse(readFileSync(join(ROOT, path), 'utf8'));
}

export function factsOfRepository(): Facts {
  const groups = recordedGroups();
  return {
    endpoints: readJsonFile('test/reference/endpoints.json') as readonly Endpoint[],
    evidence: readJsonFile('docs/api/evidence.json') as Evidence,
    steps: stepsOfGroups(),
    answer: answerOfRoutes(),
    hasTest: (name) =>
      name.startsWith(GOLDENS) ? groups.has(name.slice(GOLDENS.length)) : existsSync(join(ROOT, name)),
  };
}

async function main(): Promise<void> {
  const facts = factsOfRepository();
  const problems = await problemsOf(facts);
  const text = await renderPage(facts);
  const path = join(ROOT, PAGE);
  const isCurrent = existsSync(path) && readFileSync(path, 'utf8') === text;
  if (!isCurrent && process.argv.includes('--check')) problems.push(`${PAGE} is not what this tool writes`);
  else if (!isCurrent) writeFileSync(path, text);
  for (const problem of problems) process.stderr.write(`${problem}\n`);
  if (problems.length > 0) process.exitCode = 1;
}

if (import.meta.main) await main();
