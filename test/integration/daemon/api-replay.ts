import { request, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { normalize } from '../../goldens/normalize.ts';

/** One recorded exchange: what was asked, and the answer without what differs between runs. */
export interface Golden {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly request?: unknown;
  readonly requestHeaders?: Readonly<Record<string, string>>;
  readonly status: number;
  readonly type: string;
  readonly body: unknown;
  /** The order of lists is random. */
  readonly sorted?: boolean;
}

export interface Exchange {
  readonly status: number;
  readonly type: string;
  readonly body: Buffer;
}

export interface Request {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent after the upgrade; the half of the connection is closed then. */
  readonly input?: string;
}

function payloadOf(body: unknown): Buffer | undefined {
  if (body === undefined) return undefined;
  if (Buffer.isBuffer(body)) return body;
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
}

/** Sends one request as it is; an upgraded connection is read to its end. */
export function exchange(socketPath: string, wanted: Request): Promise<Exchange> {
  const payload = payloadOf(wanted.body);
  const json = typeof wanted.body === 'object' && !Buffer.isBuffer(wanted.body);
  const headers = {
    ...(json && { 'content-type': 'application/json' }),
    ...(payload !== undefined && { 'content-length': String(payload.length) }),
    ...wanted.headers,
  };
  const { method, path } = wanted;
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath, method, path, headers, agent: false, timeout: 20_000 });
    const read = (response: IncomingMessage, source: Duplex | IncomingMessage, head?: Buffer): void => {
      const chunks: Buffer[] = head === undefined ? [] : [head];
      const type = response.headers['content-type'] ?? '';
      source.on('data', (chunk: Buffer) => chunks.push(chunk));
      source.on('error', reject);
      source.on('end', () =>
        resolve({ status: response.statusCode ?? 0, type, body: Buffer.concat(chunks) }),
      );
    };
    outgoing.on('response', (response) => read(response, response));
    outgoing.on('upgrade', (response, socket, head) => {
      read(response, socket, head);
      if (wanted.input !== undefined) socket.end(wanted.input);
      else socket.on('end', () => socket.end());
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer: ${method} ${path}`)));
    outgoing.on('error', reject);
    outgoing.end(payload);
  });
}

const STREAMS = ['stdin', 'stdout', 'stderr', 'systemerr'] as const;

function frames(bytes: Buffer): { stream: string; data: string }[] {
  const list: { stream: string; data: string }[] = [];
  for (let at = 0; at + 8 <= bytes.length; ) {
    const length = bytes.readUInt32BE(at + 4);
    list.push({
      stream: STREAMS[bytes[at] ?? 0] ?? String(bytes[at]),
      data: bytes.toString('utf8', at + 8, at + 8 + length),
    });
    at += 8 + length;
  }
  return list;
}

const NUMBERS: ReadonlySet<string> = new Set(
  (
    'Created time timeNano Pid MemTotal NFd NGoroutines NEventsListener SharedSize LastUsedAt SpaceReclaimed ' +
    'execDuration Index CreatedAt UsageCount'
  ).split(' '),
);
/** The recorded image has another size than the one here. */
const SIZES: ReadonlySet<string> = new Set([
  'Size',
  'VirtualSize',
  'SizeRw',
  'SizeRootFs',
  'LayersSize',
  'UniqueSize',
]);
const TEXTS: Readonly<Record<string, string>> = {
  KernelVersion: '<kernel>',
  OperatingSystem: '<os>',
  OSVersion: '<os-version>',
  GoVersion: '<go>',
  SystemTime: '<time>',
  BuildTime: '<build-time>',
  GitCommit: '<commit>',
  DockerVersion: '<version>',
  // The default is a launcher of this engine's own.
  Runtime: '<default runtime>',
};

export interface Places {
  readonly dataRoot: string;
  readonly execRoot: string;
  readonly host: string;
}

function plainText(text: string, places: Places): string {
  const { dataRoot, execRoot, host } = places;
  return normalize(text, { kinds: [], dataRoot, execRoot, dockerHost: host });
}

function plain(value: unknown, key: string, places: Places): unknown {
  if (key === 'Processes' && Array.isArray(value))
    return value.map((row: string[]) =>
      row.map((cell, i) => (i === 0 && /^\d+$/.test(cell) ? '<pid>' : cell)),
    );
  if (Array.isArray(value)) return value.map((one) => plain(one, key, places));
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(
      Object.entries(value).map(([name, one]) => [plainText(name, places), plain(one, name, places)]),
    );
  if (SIZES.has(key) && value !== 0) return '<size>';
  if (typeof value === 'number') return NUMBERS.has(key) && value !== 0 ? '<n>' : value;
  if (typeof value !== 'string') return value;
  if (value !== '' && TEXTS[key] !== undefined) return TEXTS[key];
  if (/^names?$/i.test(key) && /^\/?[a-z]+_[a-z]+\d?$/.test(value))
    return '/<random-name>'.slice(value[0] === '/' ? 0 : 1);
  return plainText(value, places);
}

function sortDeep(value: unknown): unknown {
  if (Array.isArray(value))
    return value.map(sortDeep).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, sortDeep(one)]));
}

function jsonOrLines(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    const lines = text.split(/\r?\n/).filter((line) => line !== '');
    return { stream: lines.map((line) => (line.startsWith('{') ? (JSON.parse(line) as unknown) : line)) };
  }
}

function withoutRepeats(body: unknown): unknown {
  if (typeof body !== 'object' || body === null || !('stream' in body) || !Array.isArray(body.stream))
    return body;
  const list = body.stream as unknown[];
  return { stream: list.filter((one, i) => i === 0 || JSON.stringify(one) !== JSON.stringify(list[i - 1])) };
}

/** What to do stands beside an error's message: this engine's own, which clients of the reference pass over. */
function withoutHint(body: unknown): unknown {
  if (typeof body !== 'object' || body === null || !('message' in body)) return body;
  const { hint: _own, ...rest } = body as { readonly hint?: string };
  return rest;
}

/** An answer in the form of the recorded ones. */
export function recordedForm(answer: Exchange, golden: Golden, places: Places): unknown {
  const text = answer.body.toString('utf8');
  const isFrames =
    Array.isArray(golden.body) && (golden.body as { stream?: unknown }[])[0]?.stream !== undefined;
  if (answer.body.length === 0) return null;
  if (/x-tar|octet/.test(answer.type)) return { binary: true };
  if ((isFrames && answer.status < 400) || /multiplexed/.test(answer.type)) return frames(answer.body);
  if (!/json/.test(answer.type)) return plainText(text, places);
  const body = withoutRepeats(plain(withoutHint(jsonOrLines(text)), '', places));
  return golden.sorted === true ? sortDeep(body) : body;
}

/** The golden's body with the placeholders that only this replay needs. */
export function expectedForm(golden: Golden, places: Places): unknown {
  const body = typeof golden.body === 'string' ? golden.body : plain(golden.body, '', places);
  return golden.sorted === true ? sortDeep(body) : body;
}
