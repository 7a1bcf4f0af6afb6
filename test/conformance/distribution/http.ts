import { request, type IncomingHttpHeaders } from 'node:http';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface Ask {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | readonly Uint8Array[];
}

/** A registry on this machine, asked without any client's own ideas. */
export class Registry {
  readonly port: number;

  constructor(port: number) {
    this.port = port;
  }

  /** `target` is a path with its query, or a `Location` as a registry gave it. */
  async ask(method: string, target: string, { headers = {}, body }: Ask = {}): Promise<Answer> {
    const path = target.replace(/^https?:\/\/[^/]+/, '');
    return new Promise((resolve, reject) => {
      const isStream = Array.isArray(body);
      const length = body === undefined || isStream ? {} : { 'content-length': String(body.length) };
      const options = {
        host: '127.0.0.1',
        port: this.port,
        method,
        path,
        headers: { ...length, ...headers },
      };
      const sent = request(options, (response) => {
        const chunks: Buffer[] = [];
        const status = response.statusCode ?? 0;
        const done = (): void => resolve({ status, headers: response.headers, body: Buffer.concat(chunks) });
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        // docker-registry 2.8 ends a refusal's body before its Content-Length.
        response.on('error', (error) => (status < 400 ? reject(error) : done()));
        response.on('end', done);
      });
      sent.on('error', reject);
      if (Array.isArray(body)) for (const chunk of body as readonly Uint8Array[]) sent.write(chunk);
      else if (body !== undefined) sent.write(body);
      sent.end();
    });
  }
}

export function withQuery(location: string, query: Readonly<Record<string, string>>): string {
  return `${location}${location.includes('?') ? '&' : '?'}${new URLSearchParams(query).toString()}`;
}

/** The `Location` of an answer. */
export function locationOf({ headers }: Answer): string {
  if (headers.location === undefined) throw new Error('no Location');
  return headers.location;
}
