import * as system from '#api/client/system.ts';
import { type CliContext, filtersOf } from '../context.ts';
import { compileTemplate, goJson } from '../output/template.ts';

/** `2026-01-02T03:04:05.000000006Z container start <id> (image=x, name=y)` */
function line(event: Record<string, unknown>): string {
  const { Type, Action, Actor, timeNano } = event as {
    Type: string;
    Action: string;
    Actor: { ID: string; Attributes?: Record<string, string> };
    timeNano: number;
  };
  const time = new Date(timeNano / 1e6)
    .toISOString()
    .replace('Z', `${String(Math.floor(timeNano) % 1_000_000).padStart(6, '0')}Z`);
  const attributes = Object.entries(Actor.Attributes ?? {}).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const list = attributes.map(([key, value]) => `${key}=${value}`).join(', ');
  return `${time} ${Type} ${Action} ${Actor.ID}${list === '' ? '' : ` (${list})`}`;
}

export async function eventsCommand(context: CliContext): Promise<number> {
  const { client, flags, print } = context;
  const filters = filtersOf(flags.list('filter'));
  const text = (flag: string): Record<string, string> =>
    flags.has(flag) ? { [flag]: flags.text(flag) } : {};
  const stream = system.events(client, {
    ...text('since'),
    ...text('until'),
    ...(filters !== undefined && { filters }),
  });
  const format = flags.text('format');
  const render = format === '' ? undefined : format === 'json' ? goJson : compileTemplate(format);
  for await (const event of stream) {
    const record = event as unknown as Record<string, unknown>;
    print(`${render === undefined ? line(record) : render(record)}\n`);
  }
  return 0;
}
