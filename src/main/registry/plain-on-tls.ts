import type { Server } from 'node:https';
import type { Socket } from 'node:net';

/*
 * Somebody who speaks plain HTTP at a port of TLS gets a plain answer that says so, as servers written in Go
 * give it: clients know its text.
 */

/** The first byte of a TLS connection: the content type of a handshake record (RFC 8446, section 5.1). */
const HANDSHAKE = 0x16;
const ANSWER =
  'HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n' +
  'Client sent an HTTP request to an HTTPS server.\n';

function firstBytes(socket: Socket, idleMs: number): Promise<Buffer | null> {
  return new Promise((resolve) => {
    const stop = (): void => {
      socket.off('readable', look).off('close', gone).off('timeout', gone);
      socket.setTimeout(0);
    };
    const gone = (): void => {
      stop();
      socket.destroy();
      resolve(null);
    };
    const look = (): void => {
      const bytes = socket.read() as Buffer | null;
      if (bytes === null) return void (socket.readableEnded && gone());
      stop();
      resolve(bytes);
    };
    socket.on('readable', look).on('close', gone).on('timeout', gone).on('end', gone);
    socket.setTimeout(idleMs);
  });
}

/**
 * Looks at the first byte of every connection before the server's own TLS does. Returns those that it has not
 * given to the server, which does not know them.
 */
export function answerPlainHttp(server: Server, idleMs: number): ReadonlySet<Socket> {
  const held = new Set<Socket>();
  const accept = server.listeners('connection') as ((socket: Socket) => void)[];
  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => {
    const ignore = (): void => undefined;
    held.add(socket);
    socket.on('error', ignore).once('close', () => held.delete(socket));
    void firstBytes(socket, idleMs).then((bytes) => {
      if (bytes === null) return;
      if (bytes[0] !== HANDSHAKE && /^[A-Z]{3,8}(?: |$)/.test(bytes.subarray(0, 8).toString('latin1'))) {
        // What else it sends is read and dropped: a reset could overtake the answer.
        const end = setTimeout(() => socket.destroy(), idleMs).unref();
        socket.once('close', () => clearTimeout(end));
        socket.resume().end(ANSWER);
        return;
      }
      held.delete(socket);
      socket.unshift(bytes);
      socket.off('error', ignore);
      for (const one of accept) one.call(server, socket);
    });
  });
  return held;
}
