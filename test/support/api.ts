import { request, type IncomingMessage } from 'node:http';

/** A plain HTTP client for tests: no engine code between the test and the wire. */
export interface ApiAnswer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
  readonly json: unknown;
}

export interface ApiRequest {
  readonly method?: string;
  readonly path: string;
  readonly body?: unknown;
  readonly raw?: Buffer;
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8')) as unknown;
  } catch {
    return undefined;
  }
}

export function call(socketPath: string, options: ApiRequest): Promise<ApiAnswer> {
  const payload =
    options.raw ?? (options.body === undefined ? undefined : Buffer.from(JSON.stringify(options.body)));
  const type = options.raw === undefined ? 'application/json' : 'application/x-tar';
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        socketPath,
        method: options.method ?? 'GET',
        path: options.path,
        headers: {
          host: 'docker',
          ...(payload && { 'content-type': type, 'content-length': payload.length }),
          ...options.headers,
        },
        timeout: options.timeoutMs ?? 60_000,
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const body = Buffer.concat(chunks);
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body, json: parse(body) });
        });
      },
    );
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer to ${options.path} in time`)));
    outgoing.on('error', reject);
    outgoing.end(payload);
  });
}
