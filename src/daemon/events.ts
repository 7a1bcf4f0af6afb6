import { EventBus } from '#base/event-bus.ts';
import { LIMITS } from '#base/limits.ts';
import { matchLabels, type Filters } from '#api/filters.ts';

export type EventType = 'container' | 'image' | 'network' | 'volume' | 'daemon';

/** A fact to be told, before it got a time. */
export interface EngineEvent {
  readonly type: EventType;
  readonly action: string;
  /** Id, or name where that is what identifies it. */
  readonly id: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly timeNanos: bigint;
}

export interface EventsService {
  emit(event: EngineEvent): void;
  /** What is still remembered, oldest first. Times in nanoseconds, both ends included. */
  past(range: { readonly since: bigint; readonly until: bigint | null }): readonly EngineEvent[];
  /** Returns the function that ends the subscription. */
  subscribe(listener: (event: EngineEvent) => void): () => void;
  /** How many listen. */
  listeners(): number;
}

export function createEventsService(): EventsService {
  const bus = new EventBus<EngineEvent>();
  const history: EngineEvent[] = [];
  let listening = 0;
  return {
    emit(event) {
      history.push(event);
      if (history.length > LIMITS.eventHistory) history.shift();
      bus.publish(event);
    },
    past: ({ since, until }) =>
      history.filter((event) => event.timeNanos >= since && (until === null || event.timeNanos <= until)),
    subscribe(listener) {
      const end = bus.subscribe(listener);
      listening++;
      return () => {
        end();
        listening--;
      };
    },
    listeners: () => listening,
  };
}

/** Actions such as `exec_create: ls` are compared without what follows the colon, too. */
function matchAction(action: string, wanted: readonly string[]): boolean {
  return wanted.includes(action) || wanted.some((value) => action.startsWith(`${value}:`));
}

/** The object a filter named like its type selects: by id, prefix of the id, or name. */
function matchObject(event: EngineEvent, type: EventType, wanted: readonly string[]): boolean {
  if (event.type !== type) return false;
  const name = event.attributes['name'] ?? '';
  return wanted.some(
    (value) => value === event.id || value === name || (value !== '' && event.id.startsWith(value)),
  );
}

function matchImage(event: EngineEvent, wanted: readonly string[]): boolean {
  const named =
    event.type === 'image' ? [event.id, event.attributes['name'] ?? ''] : [event.attributes['image'] ?? ''];
  return wanted.some((value) =>
    named.some((name) => name === value || name.replace(/:[^/:]*$/, '') === value),
  );
}

const MATCHERS: ReadonlyMap<string, (event: EngineEvent, wanted: readonly string[]) => boolean> = new Map([
  ['event', (event, wanted) => matchAction(event.action, wanted)],
  ['type', (event, wanted) => wanted.includes(event.type)],
  ['container', (event, wanted) => matchObject(event, 'container', wanted)],
  ['network', (event, wanted) => matchObject(event, 'network', wanted)],
  ['volume', (event, wanted) => matchObject(event, 'volume', wanted)],
  ['daemon', (event, wanted) => matchObject(event, 'daemon', wanted)],
  ['image', matchImage],
  ['label', (event, wanted) => matchLabels(wanted, event.attributes)],
  ['scope', (_event, wanted) => wanted.includes('local')],
] satisfies [string, (event: EngineEvent, wanted: readonly string[]) => boolean][]);

/** Whether an event is what the filters ask for; keys nobody knows select nothing, as in the reference. */
export function matchesEvent(event: EngineEvent, filters: Filters): boolean {
  for (const [key, wanted] of filters) {
    const matcher = MATCHERS.get(key);
    if (wanted.length > 0 && matcher !== undefined && !matcher(event, wanted)) return false;
  }
  return true;
}

/**
 * The JSON line the API sends. Nanoseconds do not fit into a JavaScript number, so that field is written by
 * hand.
 */
export function eventLine(event: EngineEvent): string {
  const legacy: Record<string, string> = {};
  if (event.type === 'container' || event.type === 'image') {
    legacy['status'] = event.action;
    legacy['id'] = event.id;
    if (event.attributes['image'] !== undefined) legacy['from'] = event.attributes['image'];
  }
  const json = JSON.stringify({
    ...legacy,
    Type: event.type,
    Action: event.action,
    Actor: { ID: event.id, Attributes: event.attributes },
    scope: 'local',
    time: Number(event.timeNanos / 1_000_000_000n),
  });
  return `${json.slice(0, -1)},"timeNano":${event.timeNanos}}\n`;
}
