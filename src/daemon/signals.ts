import { errorMessage } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import type { RunningDaemon } from './boot.ts';
import type { DaemonConfig } from './config.ts';

/** A second signal, or this time, ends the wait for an orderly end. */
const PATIENCE_MS = 15_000;

export interface SignalOptions {
  /** Reads flags and configuration file again. */
  readonly load: () => DaemonConfig;
  readonly log: Log;
}

/** SIGTERM and SIGINT end the daemon; containers run on. SIGHUP reads the configuration again. */
export function handleSignals(daemon: RunningDaemon, { load, log }: SignalOptions): void {
  let stopping = false;
  const stop = (signal: NodeJS.Signals): void => {
    if (stopping) process.exit(1);
    stopping = true;
    log.info('processing signal', { signal });
    setTimeout(() => process.exit(1), PATIENCE_MS).unref();
    daemon.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error('shutdown failed', { error: errorMessage(error) });
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('SIGHUP', () => {
    try {
      daemon.reload(load());
    } catch (error) {
      log.error('the configuration stays as it was', { error: errorMessage(error) });
    }
  });
}
