import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { LIMITS } from '#base/limits.ts';

/**
 * A client that still sends its body reads the answer only if its writes do not fail: they are taken for a
 * moment (node discards a body that nobody reads), then the connection ends.
 */
export function discardBody(request: IncomingMessage): void {
  // There is none any more when the client left.
  const socket = request.socket as Socket | null;
  if (socket === null) return;
  const timer = setTimeout(() => {
    if (!request.complete) socket.destroy();
  }, LIMITS.refusedBodyMs);
  // The request closes with the answer, the connection with its client: only that ends the wait.
  socket.once('close', () => clearTimeout(timer));
}

/**
 * A body that is read while it comes. Whoever stops in the middle of it, as on a full disk, can answer still:
 * a stream that is left would take the connection with it.
 */
export async function* streamedBody(request: IncomingMessage): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false })) yield chunk as Uint8Array;
  } finally {
    if (!request.complete) {
      request.resume();
      discardBody(request);
    }
  }
}
