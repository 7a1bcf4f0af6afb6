import { createHash, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What a registry saw of one request. */
export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly authorization: string;
  readonly range: string;
  readonly bodyBytes: number;
}

export interface Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
  readonly body: Buffer;
  /** How many requests of this method and path there were before. */
  readonly before: number;
}

/** True: it has answered. */
export type Manner = (call: Call) => boolean | Promise<boolean>;

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

interface Refusal {
  readonly code: string;
  readonly headers?: object;
}

export function refuse(response: ServerResponse, status: number, refusal: Refusal | string): true {
  const { code, headers = {} } = typeof refusal === 'string' ? { code: refusal } : refusal;
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify({ errors: [{ code, message: code.toLowerCase(), detail: {} }] }));
  return true;
}

/** A registry of the distribution protocol on loopback; `manners` meet every request before it. */
export class SmallRegistry {
  readonly seen: Seen[] = [];
  readonly blobs = new Map<string, Buffer>();
  readonly manifests = new Map<string, { type: string; bytes: Buffer }>();
  readonly uploads = new Map<string, Buffer>();
  readonly #counts = new Map<string, number>();
  readonly #server: Server;
  manners: Manner[] = [];

  private constructor() {
    this.#server = createServer((request, response) => {
      request.on('error', () => undefined);
      void this.#handle(request, response);
    });
  }

  static async start(...manners: Manner[]): Promise<SmallRegistry> {
    const registry = new SmallRegistry();
    registry.manners = manners;
    const listening = Promise.withResolvers<void>();
    registry.#server.listen(0, '127.0.0.1', listening.resolve);
    await listening.promise;
    return registry;
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  addBlob(bytes: Buffer): { digest: string; sizeBytes: number } {
    const digest = digestOf(bytes);
    this.blobs.set(digest, bytes);
    return { digest, sizeBytes: bytes.length };
  }

  addManifest(tag: string, text: string, type = 'application/vnd.oci.image.manifest.v1+json'): string {
    const bytes = Buffer.from(text);
    const digest = digestOf(bytes);
    for (const reference of [tag, digest]) this.manifests.set(reference, { type, bytes });
    return digest;
  }

  asked(method: string, path: RegExp): Seen[] {
    return this.seen.filter((one) => one.method === method && path.test(one.url));
  }

  /** Closes every connection that waits for a request. */
  hangUp(): void {
    this.#server.closeAllConnections();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    const closed = Promise.withResolvers<void>();
    this.#server.close(() => closed.resolve());
    await closed.promise;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', headers } = request;
    const url = new URL(request.url ?? '/', `http://${this.host}`);
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer);
    } catch {
      // The other side left in the middle; what came counts.
    }
    const body = Buffer.concat(chunks);
    const { authorization = '', range = '' } = headers;
    this.seen.push({ method, url: request.url ?? '', authorization, range, bodyBytes: body.length });
    const key = `${method} ${url.pathname}`;
    const before = this.#counts.get(key) ?? 0;
    this.#counts.set(key, before + 1);
    const call = { request, response, url, body, before };
    for (const manner of this.manners) if (await manner(call)) return;
    this.#answer(call);
  }

  #answer(call: Call): void {
    const { url, response } = call;
    const part = /^\/v2\/(.+)\/(manifests|blobs|tags|referrers)\/(.+)$/.exec(url.pathname);
    if (url.pathname === '/v2/') response.end('{}');
    else if (part?.[2] === 'manifests') this.#manifest(call, part[3] ?? '');
    else if (part?.[2] === 'blobs' && part[3]?.startsWith('uploads/') === true)
      this.#upload(call, part[1] ?? '');
    else if (part?.[2] === 'blobs') this.#blob(call, part[3] ?? '');
    else refuse(response, 404, 'NAME_UNKNOWN');
  }

  #manifest({ request, response, body }: Call, reference: string): void {
    if (request.method === 'PUT') {
      const type = request.headers['content-type'] ?? '';
      for (const name of [reference, digestOf(body)]) this.manifests.set(name, { type, bytes: body });
      response.writeHead(201, { 'docker-content-digest': digestOf(body) }).end();
      return;
    }
    const found = this.manifests.get(reference);
    if (found === undefined) {
      refuse(response, 404, 'MANIFEST_UNKNOWN');
      return;
    }
    const { type, bytes } = found;
    const size = String(bytes.length);
    const headers = {
      'content-type': type,
      'content-length': size,
      'docker-content-digest': digestOf(bytes),
    };
    response.writeHead(200, headers).end(bytes);
  }

  #blob({ request, response }: Call, digest: string): void {
    const bytes = this.blobs.get(digest);
    if (bytes === undefined) {
      refuse(response, 404, 'BLOB_UNKNOWN');
      return;
    }
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const rest = bytes.subarray(start);
    if (start === 0) response.writeHead(200, { 'content-length': rest.length });
    else {
      const range = `bytes ${start}-${bytes.length - 1}/${bytes.length}`;
      response.writeHead(206, { 'content-length': rest.length, 'content-range': range });
    }
    response.end(rest);
  }

  #upload({ request, response, url, body }: Call, name: string): void {
    const from = url.searchParams.get('mount');
    if (request.method === 'POST') {
      if (from !== null && this.blobs.has(from)) {
        response.writeHead(201).end();
        return;
      }
      const id = randomUUID();
      this.uploads.set(id, Buffer.alloc(0));
      response.writeHead(202, { location: `/v2/${name}/blobs/uploads/${id}?state=a` }).end();
      return;
    }
    const id = url.pathname.replace(/^.*\//, '');
    const had = this.uploads.get(id);
    if (had === undefined) {
      refuse(response, 404, 'BLOB_UPLOAD_UNKNOWN');
      return;
    }
    const bytes = Buffer.concat([had, body]);
    const location = `/v2/${name}/blobs/uploads/${id}?state=${bytes.length}`;
    const range = `0-${Math.max(0, bytes.length - 1)}`;
    if (request.method === 'GET') response.writeHead(204, { location, range }).end();
    else if (request.method === 'PATCH') {
      if (request.headers['content-range'] !== `${had.length}-${bytes.length - 1}`) {
        response.writeHead(416, { location, range }).end();
        return;
      }
      this.uploads.set(id, bytes);
      response.writeHead(202, { location, range }).end();
    } else if (digestOf(bytes) === url.searchParams.get('digest')) {
      this.blobs.set(digestOf(bytes), bytes);
      this.uploads.delete(id);
      response.writeHead(201).end();
    } else refuse(response, 400, 'DIGEST_INVALID');
  }
}
