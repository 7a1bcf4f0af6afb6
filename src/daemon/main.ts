import { createLog, type Log, type LogLevel } from '#base/log.ts';
import { EngineError, errorMessage } from '#base/errors.ts';
import { ACTION_TEXTS } from './usage.ts';
import { loadConfig, type DaemonConfig } from './config.ts';
import { parseFlags } from './config/flags.ts';
import { boot } from './boot.ts';
import { LiveSettings } from './live-settings.ts';
import { handleSignals } from './signals.ts';

const LEVELS: Readonly<Record<string, LogLevel>> = {
  trace: 'debug',
  debug: 'debug',
  info: 'info',
  warning: 'warn',
  warn: 'warn',
  error: 'error',
  fatal: 'fatal',
  panic: 'fatal',
};

function logOf(config: DaemonConfig, live: LiveSettings): Log {
  const onTerminal = process.stderr.isTTY === true;
  const pretty = config.logFormat === null ? onTerminal : config.logFormat === 'text';
  return createLog({
    get level() {
      return LEVELS[live.now.logLevel] ?? 'info';
    },
    format: pretty ? 'pretty' : 'json',
    write: (line) => void process.stderr.write(line),
  });
}

function fail(error: unknown): never {
  const hint = error instanceof EngineError && error.hint !== undefined ? `\n${error.hint}` : '';
  process.stderr.write(`${errorMessage(error)}${hint}\n`);
  process.exit(1);
}

async function run(load: () => DaemonConfig): Promise<void> {
  const config = load();
  const live = new LiveSettings(config);
  const log = logOf(config, live);
  process.on('uncaughtException', (error) =>
    log.error('uncaught exception', { error: error.message, stack: error.stack ?? '' }),
  );
  process.on('unhandledRejection', (error) => {
    log.error('unhandled rejection', {
      error: errorMessage(error),
      stack: error instanceof Error ? (error.stack ?? '') : '',
    });
  });
  if (process.getuid?.() !== 0)
    throw new EngineError('permissionDenied', 'gantryd needs to be started with root privileges');
  const daemon = await boot({ config, live, log });
  handleSignals(daemon, { load, log });
}

function main(argv: readonly string[]): void {
  try {
    const flags = parseFlags(argv);
    const text = ACTION_TEXTS[flags.action];
    if (text !== undefined) return void process.stdout.write(text());
    const load = (): DaemonConfig => loadConfig(flags.values);
    if (flags.action !== 'validate') return void run(load).catch(fail);
    load();
    process.stdout.write('configuration OK\n');
  } catch (error) {
    fail(error);
  }
}

main(process.argv.slice(2));
