import { isJsonObject } from '#base/json.ts';
import type { OutputFrame, OutputStream } from '../ports.ts';
import { fixedTime, parseTimeNanos } from '../record/time.ts';

/** One line of a json-file log. */
export interface LogRecord {
  readonly stream: OutputStream;
  readonly text: string;
  readonly time: string;
}

/** Null for a line that is no record: a torn or damaged one. */
export function parseLogRecord(line: string): LogRecord | null {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return null;
  }
  if (!isJsonObject(value)) return null;
  const { log, stream, time } = value;
  if (typeof log !== 'string' || typeof time !== 'string' || (stream !== 'stdout' && stream !== 'stderr'))
    return null;
  return { stream, text: log, time };
}

export interface LogWindow {
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** Nanoseconds since the epoch; null: no limit. */
  readonly since: bigint | null;
  readonly until: bigint | null;
}

/** Whether a record is asked for; `after` when it and everything behind it is too late. */
export function judge(record: LogRecord, window: LogWindow): 'take' | 'skip' | 'after' {
  if (window.since !== null || window.until !== null) {
    const time = parseTimeNanos(record.time);
    if (time === null) return 'skip';
    if (window.until !== null && time > window.until) return 'after';
    if (window.since !== null && time < window.since) return 'skip';
  }
  return (record.stream === 'stdout' ? window.stdout : window.stderr) ? 'take' : 'skip';
}

export interface LineStyle {
  readonly timestamps: boolean;
  /** Text in front of every line, with `details`; null: none. */
  readonly details: string | null;
}

export function renderRecord(record: LogRecord, style: LineStyle): OutputFrame {
  const details = style.details === null ? '' : `${style.details} `;
  const time = style.timestamps ? `${fixedTime(record.time)} ` : '';
  return { stream: record.stream, data: Buffer.from(`${time}${details}${record.text}`) };
}
