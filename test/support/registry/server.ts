import { createHash, randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { Gate } from './access.ts';
import type {
  Fault,
  FaultAct,
  LedgerEntry,
  RegistryRole,
  RepositoriesFile,
  RepositoryRecord,
  Role,
  StandinPlan,
} from './plan.ts';
import { type Answer, deliver, deliverFault, type Exchange, failure } from './reply.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const PAGE = 2;

interface Call {
  readonly host: string;
  readonly origin: string;
  readonly role: RegistryRole;
  readonly method: string;
  readonly url: URL;
  readonly body: Buffer;
  readonly contentType: string;
}

function answer(
  status: number,
  headers: Record<string, string> = {},
  body: Buffer = Buffer.alloc(0),
): Answer {
  return { status, headers, body };
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** A registry of the distribution specification, small enough to be read, with the manners of a plan. */
export class StandinServer {
  readonly #plan: StandinPlan;
  #repositories: RepositoriesFile = {};
  readonly #uploads = new Map<string, Buffer>();
  readonly #met = new Map<Fault, number>();
  readonly gate = new Gate();
  faults: readonly Fault[];
  ledger: LedgerEntry[] = [];
  #count = 0;

  constructor(plan: StandinPlan) {
    this.#plan = plan;
    this.faults = plan.faults;
    this.reload();
  }

  reload(): void {
    const file = join(this.#plan.folder, 'repositories.json');
    this.#repositories = JSON.parse(readFileSync(file, 'utf8')) as RepositoriesFile;
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    response.on('error', () => undefined);
    this.#handle(request, response).catch((error: unknown) => {
      if (!response.headersSent) response.writeHead(500);
      response.end(`stand-in: ${String(error)}`);
    });
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const host = (request.headers.host ?? '').toLowerCase();
    const entry: LedgerEntry = {
      ...{ number: (this.#count += 1), atMs: Date.now(), host, method: request.method ?? '' },
      ...{ url: request.url ?? '', authorization: request.headers.authorization ?? '' },
      ...{ proxyAuthorization: request.headers['proxy-authorization'] ?? '' },
      ...{ range: request.headers.range ?? '', userAgent: request.headers['user-agent'] ?? '', form: '' },
      ...{ status: 0, offset: 0, sentBytes: 0, sentMs: 0, fault: '' },
    };
    this.ledger.push(entry);
    const exchange: Exchange = { request, response, entry };
    const act = this.#faultFor(entry);
    entry.fault = act?.kind ?? '';
    if (act !== null && (await deliverFault(exchange, act))) return void request.resume();
    const scheme = 'encrypted' in request.socket ? 'https' : 'http';
    const url = new URL(request.url ?? '/', `${scheme}://${host}`);
    const body = await readBody(request);
    const isForm = (request.headers['content-type'] ?? '').includes('x-www-form-urlencoded');
    const form = isForm ? body.toString() : '';
    this.ledger[this.ledger.indexOf(entry)] = Object.assign(entry, { form });
    const contentType = request.headers['content-type'] ?? '';
    await deliver(exchange, this.#answer(entry, { url, body, contentType }), act);
  }

  #faultFor(entry: LedgerEntry): FaultAct | null {
    for (const fault of this.faults) {
      if (fault.method !== undefined && fault.method !== entry.method) continue;
      if (fault.host !== undefined && fault.host !== entry.host) continue;
      if (fault.path !== undefined && !new RegExp(fault.path).test(entry.url)) continue;
      const met = (this.#met.get(fault) ?? 0) + 1;
      this.#met.set(fault, met);
      const { skip = 0, times = Number.POSITIVE_INFINITY } = fault;
      if (met > skip && met <= skip + times) return fault.act;
    }
    return null;
  }

  #answer(
    entry: LedgerEntry,
    of: { readonly url: URL; readonly body: Buffer; readonly contentType: string },
  ): Answer {
    const { url } = of;
    for (const role of this.#plan.hosts[entry.host] ?? []) {
      const given = this.#byRole(role, entry, of);
      if (given !== null) return given;
    }
    return failure(404, { code: 'UNSUPPORTED', message: `nobody is at ${entry.host}${url.pathname}` });
  }

  #byRole(
    role: Role,
    entry: LedgerEntry,
    of: { readonly url: URL; readonly body: Buffer; readonly contentType: string },
  ): Answer | null {
    const { url } = of;
    if (role.role === 'blobs') return this.#presigned(entry, url);
    if (role.role === 'token') return this.#token(role.of, entry, url);
    if (url.pathname === '/v1/search') return this.#search(url);
    if (!url.pathname.startsWith('/v2')) return null;
    const { host, method } = entry;
    const call = { host, origin: url.origin, role, method, ...of };
    return this.#registry(call, entry.authorization);
  }

  #token(registry: string, entry: LedgerEntry, url: URL): Answer | null {
    const role = this.#plan.hosts[registry]?.find((one) => one.role === 'registry');
    if (role?.role !== 'registry' || role.access.kind !== 'token') return null;
    if (new URL(role.access.realm).pathname !== url.pathname) return null;
    const isForm = entry.form !== '';
    const parameters = isForm ? new URLSearchParams(entry.form) : url.searchParams;
    const { authorization } = entry;
    const given = this.gate.token({ registry, access: role.access, authorization, parameters, isForm });
    return answer(given.status, JSON_TYPE, Buffer.from(JSON.stringify(given.body)));
  }

  /** Signed addresses of an object store: they refuse a second way of authorisation. */
  #presigned(entry: LedgerEntry, url: URL): Answer {
    if (entry.authorization !== '')
      return answer(400, {}, Buffer.from('<Code>InvalidArgument: Only one auth mechanism allowed</Code>'));
    const hex = /^\/signed\/([0-9a-f]{64})$/.exec(url.pathname)?.[1];
    if (hex === undefined || url.searchParams.get('signature') !== 'valid') return answer(403);
    return { status: 200, headers: {}, body: { file: this.#blobPath(`sha256:${hex}`) } };
  }

  #search(url: URL): Answer {
    const term = (url.searchParams.get('q') ?? '').replace(/^library\//, '');
    const limit = Number(url.searchParams.get('n') ?? 25);
    const results = Object.keys(this.#repositories)
      .filter((path) => path.includes(term))
      .slice(0, limit)
      .map((path) => ({
        name: path.replace(/^library\//, ''),
        description: `about ${path}`,
        star_count: path.length,
        is_official: path.startsWith('library/'),
        is_automated: false,
      }));
    const body = Buffer.from(JSON.stringify({ query: term, num_results: results.length, results }));
    return answer(200, JSON_TYPE, body);
  }

  #registry(call: Call, authorization: string): Answer {
    const { url, role, method } = call;
    const place = /^\/v2\/(.+)\/(manifests|blobs|tags|referrers)\/(.*)$/.exec(url.pathname);
    const [, repository = '', kind = '', rest = ''] = place ?? [];
    const isRead = method === 'GET' || method === 'HEAD';
    const action = place === null ? '' : isRead ? 'pull' : 'push';
    if (role.mirrorOf !== undefined) {
      if (authorization !== '') return answer(400, {}, Buffer.from('a mirror takes no credentials'));
      const isHub = role.mirrorOf === 'docker.io';
      if (place !== null && (url.searchParams.get('ns') ?? '') !== (isHub ? '' : role.mirrorOf))
        return answer(400, {}, Buffer.from('wrong ns'));
    }
    const refused = this.gate.refusal(call.host, role.access, { authorization, action, repository });
    if (refused !== undefined) {
      const { status, code, message, headers } = refused;
      const detail = action === '' ? null : [{ Type: 'repository', Name: repository, Action: action }];
      const said = failure(status, { code, message, detail });
      return { ...said, headers: { ...said.headers, ...headers } };
    }
    if (place === null) return answer(200, JSON_TYPE, Buffer.from('{}'));
    if (kind === 'manifests') return this.#manifests(call, repository, rest);
    if (kind === 'tags') return this.#tags(call, repository);
    if (kind === 'referrers') return this.#referrers(repository, rest);
    if (rest.startsWith('uploads/')) return this.#upload(call, repository, rest.slice('uploads/'.length));
    return this.#blob(call, repository, rest);
  }

  #manifests(call: Call, repository: string, reference: string): Answer {
    if (call.method === 'PUT') return this.#putManifest(call, repository, reference);
    const record = this.#repositories[repository];
    const digest = reference.startsWith('sha256:') ? reference : record?.tags[reference];
    const mediaType = digest === undefined ? undefined : record?.manifests[digest];
    if (digest === undefined || mediaType === undefined) {
      const detail = { Tag: reference };
      return failure(404, { code: 'MANIFEST_UNKNOWN', message: 'manifest unknown', detail });
    }
    const headers = { 'content-type': mediaType, 'docker-content-digest': digest };
    return { status: 200, headers, body: { file: this.#blobPath(digest) } };
  }

  #putManifest(call: Call, repository: string, reference: string): Answer {
    const record = this.#record(repository);
    const digest = `sha256:${createHash('sha256').update(call.body).digest('hex')}`;
    const document = JSON.parse(call.body.toString()) as {
      config?: { digest: string };
      layers?: { digest: string }[];
      subject?: { digest: string };
    };
    for (const part of [document.config, ...(document.layers ?? [])]) {
      if (part === undefined || record.blobs.includes(part.digest)) continue;
      const detail = { digest: part.digest };
      return failure(400, { code: 'MANIFEST_BLOB_UNKNOWN', message: 'blob unknown to registry', detail });
    }
    writeFileSync(this.#blobPath(digest), call.body);
    record.manifests[digest] = call.contentType;
    if (!reference.startsWith('sha256:')) record.tags[reference] = digest;
    const subject = document.subject === undefined ? {} : { 'oci-subject': document.subject.digest };
    const location = this.#location(call, `/v2/${repository}/manifests/${digest}`);
    return answer(201, { location, 'docker-content-digest': digest, ...subject });
  }

  #tags(call: Call, repository: string): Answer {
    const record = this.#repositories[repository];
    if (record === undefined)
      return failure(404, {
        code: 'NAME_UNKNOWN',
        message: 'repository name not known to registry',
        detail: { name: repository },
      });
    const last = call.url.searchParams.get('last') ?? '';
    const all = Object.keys(record.tags).sort();
    const after = all.filter((tag) => tag > last);
    const page = after.slice(0, PAGE);
    const next = `/v2/${repository}/tags/list?last=${page.at(-1) ?? ''}&n=${PAGE}`;
    const target = call.role.link === 'absolute' ? `${call.origin}${next}` : next;
    const link: Record<string, string> = after.length > PAGE ? { link: `<${target}>; rel="next"` } : {};
    return answer(
      200,
      { ...JSON_TYPE, ...link },
      Buffer.from(JSON.stringify({ name: repository, tags: page })),
    );
  }

  #referrers(repository: string, subject: string): Answer {
    const record = this.#repositories[repository];
    const manifests = Object.entries(record?.manifests ?? {}).flatMap(([digest, mediaType]) => {
      const bytes = readFileSync(this.#blobPath(digest));
      const document = JSON.parse(bytes.toString()) as { subject?: { digest: string } };
      return document.subject?.digest === subject ? [{ digest, mediaType, size: bytes.length }] : [];
    });
    const mediaType = 'application/vnd.oci.image.index.v1+json';
    const body = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests }));
    return answer(200, { 'content-type': mediaType }, body);
  }

  #blob(call: Call, repository: string, digest: string): Answer {
    const record = this.#repositories[repository];
    if (record?.blobs.includes(digest) !== true)
      return failure(404, { code: 'BLOB_UNKNOWN', message: 'blob unknown to registry', detail: digest });
    const hex = digest.slice('sha256:'.length);
    const { blobsAt } = call.role;
    if (blobsAt !== undefined && call.method === 'GET')
      return answer(307, { location: `${blobsAt}/signed/${hex}?signature=valid` });
    const headers = { 'content-type': 'application/octet-stream', 'docker-content-digest': digest };
    return { status: 200, headers, body: { file: this.#blobPath(digest) } };
  }

  #upload(call: Call, repository: string, session: string): Answer {
    const record = this.#record(repository);
    if (call.method === 'POST') {
      const mount = call.url.searchParams.get('mount') ?? '';
      const from = call.url.searchParams.get('from') ?? '';
      if (this.#repositories[from]?.blobs.includes(mount) === true) {
        if (!record.blobs.includes(mount)) record.blobs.push(mount);
        return answer(201, { location: `/v2/${repository}/blobs/${mount}`, 'docker-content-digest': mount });
      }
      const id = randomUUID();
      this.#uploads.set(id, Buffer.alloc(0));
      return this.#uploadState(call, repository, id);
    }
    const held = this.#uploads.get(session);
    if (held === undefined)
      return failure(404, { code: 'BLOB_UPLOAD_UNKNOWN', message: 'blob upload unknown to registry' });
    if (call.method === 'GET') return { ...this.#uploadState(call, repository, session), status: 204 };
    const bytes = Buffer.concat([held, call.body]);
    this.#uploads.set(session, bytes);
    if (call.method === 'PATCH') return this.#uploadState(call, repository, session);
    const digest = call.url.searchParams.get('digest') ?? '';
    if (`sha256:${createHash('sha256').update(bytes).digest('hex')}` !== digest)
      return failure(400, {
        code: 'DIGEST_INVALID',
        message: 'provided digest did not match uploaded content',
      });
    writeFileSync(this.#blobPath(digest), bytes);
    this.#uploads.delete(session);
    if (!record.blobs.includes(digest)) record.blobs.push(digest);
    const location = this.#location(call, `/v2/${repository}/blobs/${digest}`);
    return answer(201, { location, 'docker-content-digest': digest });
  }

  #uploadState(call: Call, repository: string, id: string): Answer {
    const heldBytes = this.#uploads.get(id)?.length ?? 0;
    const location = this.#location(call, `/v2/${repository}/blobs/uploads/${id}?state=of%2Fmine`);
    return answer(202, { location, range: `0-${Math.max(0, heldBytes - 1)}`, 'docker-upload-uuid': id });
  }

  #location(call: Call, path: string): string {
    return call.role.location === 'absolute' ? `${call.origin}${path}` : path;
  }

  #record(repository: string): RepositoryRecord {
    return (this.#repositories[repository] ??= { tags: {}, manifests: {}, blobs: [] });
  }

  #blobPath(digest: string): string {
    return join(this.#plan.folder, 'blobs', digest.slice('sha256:'.length));
  }
}
