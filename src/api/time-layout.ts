/*
 * Dates as clients write them, read by a pattern. Patterns and errors are those of the reference's language:
 * its users know the texts.
 */

interface Parsed {
  text: string;
  readonly fields: Map<string, number>;
}

/** An error's text; null when the field was read. */
type Reader = (parsed: Parsed) => 'bad' | `${string} out of range` | null;

interface NumberField {
  readonly name: string;
  readonly digits: RegExp;
  readonly min: number;
  readonly max: number;
}

function number({ name, digits, min, max }: NumberField): Reader {
  return (parsed) => {
    const found = digits.exec(parsed.text)?.[0];
    if (found === undefined) return 'bad';
    const value = Number(found);
    parsed.text = parsed.text.slice(found.length);
    parsed.fields.set(name, value);
    return value < min || value > max ? `${name} out of range` : null;
  };
}

/** Nanoseconds; they may be missing. */
function readFraction(parsed: Parsed): null {
  const found = /^[.,](\d+)/.exec(parsed.text);
  if (found === null) return null;
  parsed.text = parsed.text.slice(found[0].length);
  parsed.fields.set('nanosecond', Number((found[1] ?? '').slice(0, 9).padEnd(9, '0')));
  return null;
}

/** Seconds may have a fraction though the pattern has none. */
function readSecond(parsed: Parsed): ReturnType<Reader> {
  const error = number({ name: 'second', digits: /^\d{2}/, min: 0, max: 59 })(parsed);
  return error ?? readFraction(parsed);
}

function readZone(parsed: Parsed): ReturnType<Reader> {
  if (parsed.text.startsWith('Z')) {
    parsed.text = parsed.text.slice(1);
    parsed.fields.set('offset', 0);
    return null;
  }
  const [all = '', sign, hours, minutes] = /^([+-])(\d\d):(\d\d)/.exec(parsed.text) ?? [];
  if (all === '') return 'bad';
  if (Number(hours) > 24) return 'time zone offset hour out of range';
  if (Number(minutes) > 60) return 'time zone offset minute out of range';
  parsed.text = parsed.text.slice(all.length);
  parsed.fields.set('offset', (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes)));
  return null;
}

const READERS: ReadonlyMap<string, Reader> = new Map([
  ['2006', number({ name: 'year', digits: /^\d{4}/, min: 0, max: 9999 })],
  ['01', number({ name: 'month', digits: /^\d{2}/, min: 1, max: 12 })],
  ['02', number({ name: 'day', digits: /^\d{2}/, min: 0, max: 99 })],
  ['15', number({ name: 'hour', digits: /^\d{1,2}/, min: 0, max: 23 })],
  ['04', number({ name: 'minute', digits: /^\d{2}/, min: 0, max: 59 })],
  ['05', readSecond],
  ['Z07:00', readZone],
]);

/** Its parts: fields, and the signs between them. */
const partsOf = (layout: string): readonly string[] =>
  layout.match(/2006|01|02|15|04|05|Z07:00|\.9+|[-T:]/g) ?? [];

function daysIn(year: number, month: number): number {
  const date = new Date(0);
  date.setUTCFullYear(year, month, 0);
  return date.getUTCDate();
}

export type LayoutResult = { readonly nanos: bigint } | { readonly error: string };

/** A date by a pattern such as `2006-01-02T15:04Z07:00`; `offsetMinutes` is for texts without a zone. */
export function parseByLayout(
  text: string,
  { layout, offsetMinutes }: { readonly layout: string; readonly offsetMinutes: number },
): LayoutResult {
  const parsed: Parsed = { text, fields: new Map() };
  const fail = (why: string): LayoutResult => ({ error: `parsing time ${JSON.stringify(text)}${why}` });
  for (const part of partsOf(layout)) {
    if (part.startsWith('.')) continue;
    const before = parsed.text;
    const reader = READERS.get(part);
    let error: ReturnType<Reader> = null;
    if (reader !== undefined) error = reader(parsed);
    else if (before.startsWith(part)) parsed.text = before.slice(part.length);
    else error = 'bad';
    if (error === 'bad') {
      const quoted = JSON.stringify(layout);
      return fail(` as ${quoted}: cannot parse ${JSON.stringify(before)} as ${JSON.stringify(part)}`);
    }
    if (error !== null) return fail(`: ${error}`);
  }
  if (parsed.text !== '') return fail(`: extra text: ${JSON.stringify(parsed.text)}`);
  const field = (name: string): number => parsed.fields.get(name) ?? 0;
  const [year, month, day] = [field('year'), field('month'), field('day')];
  if (day < 1 || day > daysIn(year, month)) return fail(': day out of range');
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(field('hour'), field('minute') - (parsed.fields.get('offset') ?? offsetMinutes));
  const ms = date.getTime() + field('second') * 1000;
  return { nanos: BigInt(ms) * 1_000_000n + BigInt(field('nanosecond')) };
}
