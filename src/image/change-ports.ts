import { EngineError } from '#base/errors.ts';
import { formatPort, parsePort } from '#api/exposed-port.ts';
import type { ChangeBudget } from './change-budget.ts';

/*
 * Words of EXPOSE: `[[address:]port:]port[-port][/protocol]`.
 */

const PROTOCOLS: ReadonlySet<string> = new Set(['tcp', 'udp', 'sctp']);
/** The longest address is 45 characters and brackets; for endless ones, the expression would take long. */
const MOST_ADDRESS = 64;
const ADDRESS = /^(?:(?:\d{1,3}\.){3}\d{1,3}|\[[\da-f:.]*:[\da-f:.]*\])?$/i;

function invalid(message: string): EngineError {
  return new EngineError('invalidArgument', message);
}

function portRange(text: string): readonly [from: number, to: number] | null {
  const [from = '', to = from, ...more] = text.split('-');
  const first = parsePort(`${from}/tcp`);
  const last = parsePort(`${to}/tcp`);
  if (first === null || last === null || more.length > 0 || last.port < first.port) return null;
  return [first.port, last.port];
}

/** Addresses and ports of the host have to be right, and mean nothing here. Errors: `invalidArgument`. */
export function exposedPorts(word: string, budget: ChangeBudget): string[] {
  const parts = word.split(':');
  const [range = '', given = ''] = (parts.pop() ?? '').split('/');
  const protocol = given === '' ? 'tcp' : given;
  const host = parts.pop() ?? '';
  const address = parts.join(':');
  if (address.length > MOST_ADDRESS || !ADDRESS.test(address))
    throw invalid(`Invalid ip address: ${address}`);
  if (range === '') throw invalid(`No port specified: ${word}<empty>`);
  const ports = portRange(range);
  if (ports === null) throw invalid(`Invalid containerPort: ${range}`);
  const [from, to] = ports;
  const hostPorts = host === '' ? ports : portRange(host);
  if (hostPorts === null) throw invalid(`Invalid hostPort: ${host}`);
  if (from !== to && hostPorts[1] - hostPorts[0] !== to - from)
    throw invalid(`Invalid ranges specified for container and host Ports: ${range} and ${host}`);
  if (!PROTOCOLS.has(protocol.toLowerCase())) throw invalid(`Invalid proto: ${protocol}`);
  budget.addPorts(to - from + 1);
  return Array.from({ length: to - from + 1 }, (_, at) => formatPort(from + at, protocol.toLowerCase()));
}
