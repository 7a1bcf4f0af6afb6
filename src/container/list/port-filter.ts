import type { Filters } from '#api/filters.ts';
import { invalid } from '../normalize/fields.ts';

/** One element of `Ports` in the list. */
export interface ListedPort {
  readonly PrivatePort: number;
  readonly PublicPort?: number;
  readonly Type: string;
}

const MAXIMUM_PORT = 65_535;

/** One end of a range. Errors: `invalidArgument` with the text of the reference's number parser. */
function portNumber(text: string, at: { readonly key: string; readonly value: string }): number {
  const reason = !/^\d+$/.test(text)
    ? 'invalid syntax'
    : Number(text) > MAXIMUM_PORT
      ? 'value out of range'
      : null;
  if (reason === null) return Number(text);
  throw invalid(
    `error while looking up for ${at.key} ${at.value}: strconv.ParseUint: parsing ${JSON.stringify(text)}: ${reason}`,
  );
}

/** `80`, `80/udp`, `8000-8010/tcp` as a set of ports with their protocol. */
function portSet(values: readonly string[], key: string): ReadonlySet<string> {
  const ports = new Set<string>();
  for (const value of values) {
    const [range = '', protocol = 'tcp'] = value.split('/');
    const [first = '', last] = range.split('-');
    const low = portNumber(first, { key, value });
    const high = last === undefined ? low : portNumber(last, { key, value });
    for (let port = low; port <= high; port++) ports.add(`${port}/${protocol.toLowerCase()}`);
  }
  return ports;
}

/**
 * `expose` looks at the ports inside, `publish` at those of the host; one that fits is enough. Null: neither
 * is asked. Errors: `invalidArgument`.
 */
export function portPredicate(filters: Filters): ((ports: readonly ListedPort[]) => boolean) | null {
  const expose = portSet(filters.get('expose') ?? [], 'expose');
  const publish = portSet(filters.get('publish') ?? [], 'publish');
  if (expose.size === 0 && publish.size === 0) return null;
  return (ports) =>
    ports.some(
      (port) =>
        publish.has(`${port.PublicPort ?? 0}/${port.Type}`) || expose.has(`${port.PrivatePort}/${port.Type}`),
    );
}
