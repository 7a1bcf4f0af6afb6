import { EngineError } from '#base/errors.ts';
import { nowNanos } from '#base/clock.ts';
import { parseFilters, type Filters } from '#api/filters.ts';
import { sinceAfterUntil, unknownObjectType } from '#api/messages.ts';
import { parseTimestampNanos } from '#api/timestamp.ts';
import { eventLine, matchesEvent, type EngineEvent, type EventsService } from '../../events.ts';
import type { Backends } from '../backends.ts';
import type { Call, Route } from '../call.ts';
import { OK } from '../http-status.ts';
import { queryText } from '../query.ts';
import { JSON_TYPE } from '../reply.ts';

export function systemRoutes({ system, events }: Pick<Backends, 'system' | 'events'>): readonly Route[] {
  return [
    ['GET', '/_ping', ping],
    ['HEAD', '/_ping', ping],
    ['GET', '/version', async ({ reply }) => reply.json(OK, await system.version())],
    ['GET', '/info', async ({ reply, apiVersion }) => reply.json(OK, await system.info(apiVersion))],
    ['GET', '/events', (call) => getEvents(events, call)],
    [
      'GET',
      '/system/df',
      async (call) => {
        const types = call.query.getAll('type');
        for (const type of types) checkObjectType(type);
        call.reply.json(OK, await system.diskUsage(types));
      },
    ],
  ];
}

async function ping({ request, reply }: Call): Promise<void> {
  reply.setHeader('Builder-Version', '1');
  reply.setHeader('Cache-Control', 'no-cache, no-store, must-revalidate');
  reply.setHeader('Pragma', 'no-cache');
  reply.setHeader('Swarm', 'inactive');
  reply.text(OK, request.method === 'HEAD' ? '' : 'OK');
}

const OBJECT_TYPES: ReadonlySet<string> = new Set(['container', 'image', 'volume', 'build-cache']);

function checkObjectType(type: string): void {
  if (!OBJECT_TYPES.has(type)) throw new EngineError('invalidArgument', unknownObjectType(type));
}

interface EventsRange {
  readonly since: bigint | null;
  readonly until: bigint | null;
  readonly filters: Filters;
}

function eventsRange({ query }: Call): EventsRange {
  const since = parseTimestampNanos(queryText(query, 'since'));
  const until = parseTimestampNanos(queryText(query, 'until'));
  if (since !== null && until !== null && since > until) {
    throw new EngineError(
      'invalidArgument',
      sinceAfterUntil(queryText(query, 'since'), queryText(query, 'until')),
    );
  }
  return { since, until, filters: parseFilters(query.get('filters')) };
}

/** What is remembered since `since`, then what happens until `until` or until the client leaves. */
async function getEvents(events: EventsService, call: Call): Promise<void> {
  const { since, until, filters } = eventsRange(call);
  const { reply, signal } = call;
  reply.begin(JSON_TYPE);
  const send = (event: EngineEvent): void => {
    if (matchesEvent(event, filters) && !reply.offer(eventLine(event))) reply.drop();
  };
  if (since !== null) for (const event of events.past({ since, until })) send(event);
  const leftMs = until === null ? null : Number((until - nowNanos()) / 1_000_000n);
  if (leftMs === null || leftMs > 0) await follow({ events, send, leftMs, signal });
  reply.end();
}

interface Following {
  readonly events: EventsService;
  readonly send: (event: EngineEvent) => void;
  readonly leftMs: number | null;
  readonly signal: AbortSignal;
}

const LONGEST_TIMER_MS = 2 ** 31 - 1;

function follow({ events, send, leftMs, signal }: Following): Promise<void> {
  return new Promise((resolve) => {
    const unsubscribe = events.subscribe(send);
    const timer = leftMs === null ? undefined : setTimeout(done, Math.min(leftMs, LONGEST_TIMER_MS));
    signal.addEventListener('abort', done, { once: true });
    if (signal.aborted) done();
    function done(): void {
      clearTimeout(timer);
      unsubscribe();
      resolve();
    }
  });
}
