/**
 * The stand-in's own process: it runs inside of the network namespace of a test's daemon, and is told what to
 * do by the test.
 */
import { readFileSync } from 'node:fs';
import { createServer as createPlain, type Server } from 'node:http';
import { createServer as createSecure, type Server as SecureServer } from 'node:https';
import type { FromStandin, Listener, ToStandin } from './plan.ts';
import { StandinServer } from './server.ts';

function say(message: FromStandin): void {
  process.send?.(message);
}

function serverFor(listener: Listener, standin: StandinServer): Server | SecureServer {
  const { tls } = listener;
  if (tls === null) return createPlain((request, response) => standin.handle(request, response));
  const { clientCa } = tls;
  return createSecure(
    {
      cert: readFileSync(tls.certificate),
      key: readFileSync(tls.key),
      ...(clientCa !== undefined && {
        ca: readFileSync(clientCa),
        requestCert: true,
        rejectUnauthorized: true,
      }),
    },
    (request, response) => standin.handle(request, response),
  );
}

function listen(server: Server | SecureServer, { address, port }: Listener): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.requestTimeout = 0;
    server.listen(port, address, resolve);
  });
}

let running: StandinServer | undefined;

async function obey(message: ToStandin): Promise<void> {
  if (message.say === 'start') {
    const standin = new StandinServer(message.plan);
    for (const listener of message.plan.listeners) await listen(serverFor(listener, standin), listener);
    running = standin;
    return say({ say: 'ready' });
  }
  if (running === undefined) throw new Error('not started yet');
  if (message.say === 'faults') {
    running.faults = message.faults;
    return say({ say: 'ready' });
  }
  if (message.say === 'reload') {
    running.reload();
    return say({ say: 'ready' });
  }
  say({ say: 'ledger', entries: running.ledger, tokens: running.gate.issued() });
  if (message.clear) running.ledger = [];
}

process.on('message', (message: ToStandin) => {
  obey(message).catch((error: unknown) => say({ say: 'failed', message: String(error) }));
});
process.on('disconnect', () => process.exit(0));
