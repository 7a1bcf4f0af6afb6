import type { EngineClient } from '#api/client/client.ts';
import * as containers from '#api/client/container.ts';
import { runSession } from './stream.ts';

export interface AttachOptions {
  readonly client: EngineClient;
  readonly id: string;
  readonly tty: boolean;
  readonly stdin: boolean;
  /** Blank for the engine's own. */
  readonly detachKeys: string;
}

/** Resolves when the engine has attached this process; `ended` follows when the container's output ends. */
export async function attachSession(options: AttachOptions): Promise<{ readonly ended: Promise<void> }> {
  const { client, id, tty, stdin, detachKeys } = options;
  const hijacked = await containers.attach(client, id, {
    ...{ stream: true, stdout: true, stderr: true, stdin },
    ...(detachKeys !== '' && { detachKeys }),
  });
  const resize = (h: number, w: number): Promise<void> => containers.resize(client, id, { h, w });
  return { ended: runSession({ hijacked, stdin, tty, resize }) };
}
