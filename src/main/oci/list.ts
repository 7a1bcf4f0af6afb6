import { readFileSync } from 'node:fs';
import { errorMessage } from '#base/errors.ts';
import type { Context } from './context.ts';
import { containerId } from './context.ts';
import { Failure, print } from './messages.ts';
import { type Saved, shownState, type ShownState, statusOf } from './state.ts';

export async function state({ kernel, store, words }: Context): Promise<void> {
  const saved = store.get(containerId({ words }));
  await print(`${JSON.stringify(shownState(saved, statusOf(kernel, saved)), null, 2)}\n`);
}

/** Names by user id; a number without a name stays a number. */
function ownerNames(): (uid: number) => string {
  const names = new Map<string, string>();
  try {
    for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
      const [name = '', , uid = ''] = line.split(':');
      if (!names.has(uid)) names.set(uid, name);
    }
  } catch {
    // Without the file there are no names.
  }
  return (uid) => names.get(String(uid)) ?? `#${uid}`;
}

const COLUMNS: readonly (readonly [title: string, value: (shown: ShownState) => string])[] = [
  ['ID', (shown) => shown.id],
  ['PID', (shown) => String(shown.pid)],
  ['STATUS', (shown) => shown.status],
  ['BUNDLE', (shown) => shown.bundle],
  ['CREATED', (shown) => shown.created],
  ['OWNER', (shown) => shown.owner],
];

const MIN_WIDTH = 12;
const GAP = 3;

function table(rows: readonly ShownState[]): string {
  const cells = [
    COLUMNS.map(([title]) => title),
    ...rows.map((row) => COLUMNS.map(([, value]) => value(row))),
  ];
  const widths = COLUMNS.map((_column, index) =>
    Math.max(MIN_WIDTH, ...cells.map((row) => (row[index] ?? '').length + GAP)),
  );
  const last = COLUMNS.length - 1;
  return cells
    .map((row) =>
      row.map((cell, index) => (index === last ? cell : cell.padEnd(widths[index] ?? 0))).join(''),
    )
    .map((line) => `${line}\n`)
    .join('');
}

export async function list({ kernel, store, flags, messages }: Context): Promise<void> {
  const format = flags.text('format') ?? 'table';
  if (flags.on('quiet'))
    return print(
      store
        .ids()
        .map((id) => `${id}\n`)
        .join(''),
    );
  if (format !== 'table' && format !== 'json') throw new Failure('invalid format option');
  const saved: Saved[] = [];
  for (const id of store.ids()) {
    try {
      const found = store.find(id);
      if (found !== null) saved.push(found);
    } catch (error) {
      messages.warn(errorMessage(error));
    }
  }
  const nameOf = ownerNames();
  const rows = saved.map((one) => shownState(one, statusOf(kernel, one), nameOf(one.owner)));
  await print(format === 'json' ? `${JSON.stringify(rows.length === 0 ? null : rows)}\n` : table(rows));
}
