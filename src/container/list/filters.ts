import { checkFilterKeys, matchLabels, type Filters } from '#api/filters.ts';
import * as messages from '#api/messages.ts';
import { EngineError } from '#base/errors.ts';
import { invalid } from '../normalize/fields.ts';
import type { ContainerRecord } from '../record.ts';
import { parseTimeNanos } from '../record/time.ts';
import { STATUSES } from '../state.ts';
import { portPredicate, type ListedPort } from './port-filter.ts';

const ACCEPTED: ReadonlySet<string> = new Set([
  'ancestor',
  'before',
  'exited',
  'expose',
  'health',
  'id',
  'is-task',
  'isolation',
  'label',
  'name',
  'network',
  'publish',
  'since',
  'status',
  'volume',
]);

/** What filters ask besides the record itself. */
export interface FilterContext {
  /** Errors: `notFound`. */
  find(reference: string): ContainerRecord;
  /** The ids of an image and of what it stands for; null when there is no such image. */
  imageIds(reference: string): Promise<ReadonlySet<string> | null>;
  networkIdOf(name: string): string;
  /** What the list shows as the container's ports. */
  portsOf(record: ContainerRecord): readonly ListedPort[];
}

type Predicate = (record: ContainerRecord) => boolean;

function bad(key: string, value: string, reason: string): EngineError {
  return invalid(`invalid filter '${key}=${value}': ${reason}`);
}

/** A filter's pattern as a regular expression of the client; one that does not compile matches literally. */
function pattern(text: string): (candidate: string) => boolean {
  try {
    const expression = new RegExp(text);
    return (candidate) => expression.test(candidate);
  } catch {
    return (candidate) => candidate === text;
  }
}

function exitCodes(values: readonly string[]): ReadonlySet<number> {
  return new Set(
    values.map((value) => {
      if (!/^[+-]?\d+$/.test(value)) throw bad('exited', value, messages.badInteger('Atoi', value));
      return Number(value);
    }),
  );
}

function checkStatuses(values: readonly string[]): void {
  for (const value of values) {
    if (!(STATUSES as readonly string[]).includes(value))
      throw new EngineError('invalidArgument', messages.invalidStatusFilter(value));
  }
}

const time = (record: ContainerRecord): bigint => parseTimeNanos(record.created) ?? 0n;

const any = (values: readonly string[], test: (value: string) => boolean): boolean => values.some(test);

/** Predicates that need only the record. */
const SIMPLE: ReadonlyMap<string, (values: readonly string[]) => Predicate> = new Map([
  ['id', (values) => (record) => any(values, (value) => record.id.startsWith(value))],
  [
    'name',
    (values) => {
      const tests = values.map((value) => pattern(value));
      // The API's names have a slash in front: both forms match.
      return (record) => tests.some((test) => test(record.name) || test(`/${record.name}`));
    },
  ],
  ['label', (values) => (record) => matchLabels(values, record.config.Labels)],
  [
    'status',
    (values) => {
      checkStatuses(values);
      return (record) => values.includes(record.state.status);
    },
  ],
  [
    'exited',
    (values) => {
      const codes = exitCodes(values);
      return (record) => record.state.status === 'exited' && codes.has(record.state.exitCode);
    },
  ],
  [
    'volume',
    (values) => (record) =>
      record.mounts.some(
        (mount) => values.includes(mount.destination) || values.includes(mount.name || mount.source),
      ),
  ],
  // No container of this engine has a health state: every one has "none".
  ['health', (values) => () => values.includes('none')],
  ['is-task', (values) => () => !values.includes('true')],
  ['isolation', (values) => () => values.includes('default')],
] satisfies [string, (values: readonly string[]) => Predicate][]);

async function ancestors(values: readonly string[], context: FilterContext): Promise<Predicate> {
  const ids = new Set<string>();
  for (const value of values) for (const id of (await context.imageIds(value)) ?? []) ids.add(id);
  return (record) => ids.has(record.imageId);
}

/** Names of statuses in a filter make `all` implied, as `limit` does. */
export function impliesAll(filters: Filters): boolean {
  return (filters.get('status') ?? []).length > 0 || (filters.get('exited') ?? []).length > 0;
}

/**
 * One predicate for all filters. Errors: `invalidArgument`, `notFound` for what `before` and `since` name.
 */
export async function compileFilters(filters: Filters, context: FilterContext): Promise<Predicate> {
  checkFilterKeys(filters, ACCEPTED);
  const hasPort = portPredicate(filters);
  const predicates: Predicate[] = hasPort === null ? [] : [(record) => hasPort(context.portsOf(record))];
  for (const [key, values] of filters) {
    if (values.length === 0) continue;
    const simple = SIMPLE.get(key);
    if (simple !== undefined) predicates.push(simple(values));
    else if (key === 'ancestor') predicates.push(await ancestors(values, context));
    else if (key === 'network') {
      predicates.push((record) =>
        Object.keys(record.networks).some(
          (name) =>
            values.includes(name) ||
            any(values, (v) => v.length >= 12 && context.networkIdOf(name).startsWith(v)),
        ),
      );
    } else if (key === 'before' || key === 'since') {
      const [value = ''] = values;
      const origin = context.find(value);
      const mine = time(origin);
      const { id } = origin;
      predicates.push(
        (record) => record.id !== id && (key === 'before' ? time(record) < mine : time(record) > mine),
      );
    }
  }
  return (record) => predicates.every((predicate) => predicate(record));
}
