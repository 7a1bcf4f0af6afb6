export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'fatal';
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** Structured log: one line per call; `with` gives a child whose fields stand on every line. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  with(fields: LogFields): Log;
}

const ORDER: readonly LogLevel[] = ['debug', 'info', 'warn', 'error', 'fatal'];

export interface LogOptions {
  readonly level: LogLevel;
  /** `pretty` for a terminal, `json` otherwise. */
  readonly format: 'pretty' | 'json';
  readonly write: (line: string) => void;
  readonly nowMs?: () => number;
}

/** Control characters never reach a terminal raw. */
function visible(text: string): string {
  // biome-ignore lint: control characters are what is searched for
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f]/g,
    (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}

export function createLog(options: LogOptions, base: LogFields = {}): Log {
  const now = options.nowMs ?? Date.now;
  const emit = (level: LogLevel, message: string, fields: LogFields | undefined): void => {
    if (ORDER.indexOf(level) < ORDER.indexOf(options.level)) return;
    const time = new Date(now()).toISOString();
    const all = { ...base, ...fields };
    if (options.format === 'json') {
      options.write(`${JSON.stringify({ time, level, msg: message, ...all })}\n`);
      return;
    }
    const rest = Object.entries(all)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => ` ${key}=${visible(String(value))}`)
      .join('');
    options.write(`${time.slice(11, 23)} ${level.toUpperCase().padEnd(5)} ${visible(message)}${rest}\n`);
  };
  return {
    debug: (message, fields) => emit('debug', message, fields),
    info: (message, fields) => emit('info', message, fields),
    warn: (message, fields) => emit('warn', message, fields),
    error: (message, fields) => emit('error', message, fields),
    with: (fields) => createLog(options, { ...base, ...fields }),
  };
}

export const silentLog: Log = createLog({ level: 'fatal', format: 'json', write: () => undefined });
