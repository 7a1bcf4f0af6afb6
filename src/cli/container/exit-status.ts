import * as containers from '#api/client/container.ts';
import type { EngineClient } from '#api/client/client.ts';

/** How long after the end of the streams an exit may still be on its way. */
const EXIT_DELAY_MS = 500;

export interface SessionEnd {
  readonly client: EngineClient;
  readonly id: string;
  /** The answer to a wait that was set up before the session. */
  readonly reply: Promise<{ readonly StatusCode: number }>;
  /** Only who types into a terminal can have left by the detach keys. */
  readonly canDetach: boolean;
}

/** The container's exit code when its streams have ended; 0 when the user detached and it runs on. */
export async function exitStatus(end: SessionEnd): Promise<number> {
  const ended = end.reply.then((answer) => answer.StatusCode);
  if (!end.canDetach) return ended;
  const later = new Promise<null>((resolve) => setTimeout(() => resolve(null), EXIT_DELAY_MS).unref());
  const first = await Promise.race([ended, later]);
  if (first !== null) return first;
  const state = (await containers.inspect(end.client, end.id)).State;
  return state?.Running === true ? 0 : ended;
}
