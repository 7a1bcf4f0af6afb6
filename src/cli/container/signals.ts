import * as containers from '#api/client/container.ts';
import type { EngineClient } from '#api/client/client.ts';

const FORWARDED: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'];

/** Sends the signals that this process gets to the container; returns what ends that. */
export function forwardSignals(client: EngineClient, id: string): () => void {
  const forward = (signal: NodeJS.Signals): void => {
    containers.kill(client, id, { signal }).catch(() => undefined);
  };
  for (const signal of FORWARDED) process.on(signal, forward);
  return () => {
    for (const signal of FORWARDED) process.off(signal, forward);
  };
}
