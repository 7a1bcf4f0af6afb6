import { LIMITS } from '#base/limits.ts';
import type { Log } from '#base/log.ts';
import { isJsonObject, parseJson, type JsonObject } from '#base/json.ts';
import { checkJsonWeight } from '#base/json-weight.ts';
import { MEDIA_TYPES, parseDescriptor, type Descriptor } from '#oci/descriptor.ts';
import { digestHex, digestOf, type Digest } from '#oci/digest.ts';
import type {
  BlobBody,
  BlobName,
  BlobStart,
  FetchedManifest,
  ManifestHead,
  PushedManifest,
  Repository,
} from '../client.ts';
import type { Credentials } from '../credentials.ts';
import { RegistryError } from '../errors.ts';
import { readDocument, type Answer, type Wire } from '../transport/exchange.ts';
import { requestError } from '../transport/go-errors.ts';
import { answerError } from './answer-error.ts';
import { openBlob, readBlob, type BlobSource } from './blobs.ts';
import { ACCEPT_MANIFESTS, headOf, isSuccess, readManifest } from './manifests.ts';
import { nextPage } from './paging.ts';
import type { PlaceOrder } from './places.ts';
import { withRetries, type RetryRules } from './retry.ts';
import type { Ask, Identity, Place, Sender } from './sender.ts';
import { mount, uploadBlob, type Session, type UploadSink } from './uploads.ts';
import { chunksOf } from '../transport/chunks.ts';

export interface RepositoryParts {
  readonly path: string;
  readonly actions: 'pull' | 'pull,push';
  readonly credentials: Credentials | null;
  readonly signal: AbortSignal;
  readonly sender: Sender;
  /** Looks names up where insecure networks are configured; asked once. */
  readonly places: () => Promise<PlaceOrder>;
  readonly rules: RetryRules & { readonly tries: number };
  readonly log: Log;
}

const OCTETS = 'application/octet-stream';

async function jsonOf(answer: Answer, bytes: Buffer | null, what: string): Promise<JsonObject> {
  if (bytes === null) throw requestError(answer, `${what} is too large`, { permanent: true });
  await checkJsonWeight(bytes, what, LIMITS.listValues);
  const value = parseJson(bytes.toString('utf8'), what);
  return isJsonObject(value) ? value : {};
}

/** One repository of one registry, with the mirrors that may stand in for it. */
export class HttpRepository implements Repository {
  readonly #parts: RepositoryParts;
  readonly #wire: Wire;
  /** Uploads that a mount has begun instead. */
  readonly #sessions = new Map<Digest, Session>();
  #order: Promise<PlaceOrder> | null = null;

  constructor(parts: RepositoryParts) {
    this.#parts = parts;
    this.#wire = parts.sender.wire;
  }

  async ping(): Promise<void> {
    await this.#ask(this.#parts.signal, async (place, signal) => {
      const answer = await this.#send(place, { method: 'GET', path: '/v2/', signal }, null);
      if (isSuccess(answer) || answer.status === 401) answer.discard();
      else throw await answerError(answer, this.#wire);
    });
  }

  async head(reference: string): Promise<ManifestHead> {
    return await this.#ask(this.#parts.signal, async (place, signal, order) => {
      const answer = await this.#send(place, this.#manifestAsk('HEAD', reference, signal));
      answer.discard();
      const head = headOf(answer, reference);
      if (head !== null) {
        order.prefer(place);
        return head;
      }
      const whole = await this.#fetchManifest(place, reference, signal);
      order.prefer(place);
      return { mediaType: whole.mediaType, digest: whole.digest, sizeBytes: whole.bytes.length };
    });
  }

  async manifest(reference: string): Promise<FetchedManifest> {
    return await this.#ask(this.#parts.signal, async (place, signal, order) => {
      const manifest = await this.#fetchManifest(place, reference, signal);
      order.prefer(place);
      return manifest;
    });
  }

  async blob(want: BlobName, from: BlobStart): Promise<BlobBody> {
    const source = await this.#blobSource();
    const onRetry = (error: unknown, delayMs: number): void => {
      source.onRetry(error, delayMs);
      from.onRetry?.(delayMs);
    };
    return await openBlob({ ...source, onRetry }, want, from);
  }

  async blobBytes(want: BlobName, maxBytes: number): Promise<Buffer> {
    if (want.sizeBytes > maxBytes) {
      throw new RegistryError(
        `blob ${want.digest} has ${want.sizeBytes} bytes, at most ${maxBytes} are taken`,
        {
          status: 0,
          permanent: true,
        },
      );
    }
    const source = await this.#blobSource();
    for (let tries = 1; ; tries++) {
      const bytes = await readBlob(source, want, this.#parts.signal);
      if (digestOf(bytes) === want.digest) return bytes;
      source.places.distrust(want.digest);
      if (tries < (source.places.areSeveral ? LIMITS.registryTries : 1)) continue;
      throw new RegistryError(
        `error verifying digest of blob: expected ${want.digest}, got ${digestOf(bytes)}`,
        {
          status: 0,
          permanent: true,
        },
      );
    }
  }

  async distrust(digest: Digest): Promise<boolean> {
    return (await this.#places()).distrust(digest);
  }

  async hasBlob(digest: Digest): Promise<boolean> {
    return await this.#atOrigin(this.#parts.signal, async (send) => {
      const answer = await send({ method: 'HEAD', path: this.#blobPath(digest), signal: this.#parts.signal });
      answer.discard();
      if (isSuccess(answer)) return true;
      if (answer.status === 404) return false;
      throw await answerError(answer, this.#wire);
    });
  }

  async mountBlob(digest: Digest, fromPath: string): Promise<boolean> {
    const scopes = [...this.#identity().scopes, `repository:${fromPath}:pull`];
    const session = await mount(await this.#sink(scopes), { digest, from: fromPath }, this.#parts.signal);
    if (session === null) return true;
    this.#sessions.set(digest, session);
    return false;
  }

  async upload(
    blob: BlobName,
    open: (offset: number) => AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<void> {
    const session = this.#sessions.get(blob.digest) ?? null;
    this.#sessions.delete(blob.digest);
    await uploadBlob(await this.#sink(), blob, { open, session, signal });
  }

  async putManifest(
    reference: string,
    document: { readonly mediaType: string; readonly bytes: Uint8Array },
  ): Promise<PushedManifest> {
    const { bytes, mediaType } = document;
    return await this.#atOrigin(this.#parts.signal, async (send) => {
      const answer = await send({
        method: 'PUT',
        path: this.#manifestPath(reference),
        headers: { 'content-type': mediaType },
        body: { sizeBytes: bytes.length, open: () => chunksOf(bytes) },
        signal: this.#parts.signal,
      });
      if (!isSuccess(answer)) throw await answerError(answer, this.#wire);
      answer.discard();
      return { digest: digestOf(bytes), isListed: answer.headers['oci-subject'] !== undefined };
    });
  }

  async *tags(signal: AbortSignal): AsyncGenerator<string> {
    const path = `/v2/${this.#parts.path}/tags/list`;
    const first = await this.#ask(signal, async (place, raceSignal) => ({
      place,
      page: await this.#page(place, path, raceSignal),
    }));
    let { page } = first;
    const seen = new Set<string>();
    for (let pages = 1; ; pages++) {
      const tags = page.object['tags'];
      for (const tag of Array.isArray(tags) ? tags : []) if (typeof tag === 'string') yield tag;
      const next = page.next;
      if (next === null || seen.has(next.href) || pages === LIMITS.tagPages) return;
      seen.add(next.href);
      page = await withRetries(this.#retries(signal), () => this.#page(first.place, next, signal));
    }
  }

  async referrers(digest: Digest, signal: AbortSignal): Promise<readonly Descriptor[]> {
    const max = LIMITS.descriptorsPerManifest;
    return await this.#ask(signal, async (place, raceSignal) => {
      const found: Descriptor[] = [];
      let path: string | URL | null = `/v2/${this.#parts.path}/referrers/${digest}`;
      for (let pages = 0; path !== null && pages < LIMITS.referrersPages && found.length < max; pages++) {
        let page;
        try {
          page = await this.#page(place, path, raceSignal);
        } catch (error) {
          if (!(error instanceof RegistryError) || error.status !== 404) throw error;
          page = await this.#taggedReferrers(place, digest, raceSignal);
        }
        const { manifests } = page.object;
        for (const one of Array.isArray(manifests) ? manifests.slice(0, max - found.length) : [])
          found.push(parseDescriptor(one, 'referrers'));
        path = page.next;
      }
      return found;
    });
  }

  /** Registries without the referrers list keep it under a tag (distribution-spec, "Referrers Tag Schema"). */
  async #taggedReferrers(
    place: Place,
    digest: Digest,
    signal: AbortSignal,
  ): Promise<{ object: JsonObject; next: null }> {
    const path = this.#manifestPath(`sha256-${digestHex(digest)}`);
    try {
      return { object: (await this.#page(place, path, signal)).object, next: null };
    } catch (error) {
      if (error instanceof RegistryError && error.status === 404) return { object: {}, next: null };
      throw error;
    }
  }

  async #page(
    place: Place,
    path: string | URL,
    signal: AbortSignal,
  ): Promise<{ object: JsonObject; next: URL | null }> {
    const headers = { accept: `${MEDIA_TYPES.ociIndex}, application/json` };
    const answer = await this.#send(place, { method: 'GET', path, headers, signal });
    if (!isSuccess(answer)) throw await answerError(answer, this.#wire);
    const bytes = await readDocument(answer, this.#wire, LIMITS.tagPageBytes);
    const { link } = answer.headers;
    const header = Array.isArray(link) ? link.join(', ') : link;
    const object = await jsonOf(answer, bytes, 'a list of the registry');
    return { object, next: nextPage(answer.url, header) };
  }

  #manifestPath(reference: string): string {
    return `/v2/${this.#parts.path}/manifests/${reference}`;
  }

  #blobPath(digest: Digest): string {
    return `/v2/${this.#parts.path}/blobs/${digest}`;
  }

  #manifestAsk(method: string, reference: string, signal: AbortSignal): Ask {
    return { method, path: this.#manifestPath(reference), headers: { accept: ACCEPT_MANIFESTS }, signal };
  }

  async #fetchManifest(place: Place, reference: string, signal: AbortSignal): Promise<FetchedManifest> {
    const answer = await this.#send(place, this.#manifestAsk('GET', reference, signal));
    return await readManifest(answer, { reference, from: place.endpoints[0]?.base ?? '' }, this.#wire);
  }

  #identity(): Identity {
    const { path, actions, credentials } = this.#parts;
    return { scopes: [`repository:${path}:${actions}`], credentials };
  }

  #send(place: Place, ask: Ask, identity: Identity | null = this.#identity()): Promise<Answer> {
    return this.#parts.sender.send(place, ask, identity);
  }

  #places(): Promise<PlaceOrder> {
    this.#order ??= this.#parts.places();
    return this.#order;
  }

  #onRetry = (error: unknown, delayMs: number): void => {
    this.#parts.log.info('a request to a registry is repeated', { why: String(error), delayMs });
  };

  #retries(signal: AbortSignal): Parameters<typeof withRetries>[0] {
    return { ...this.#parts.rules, tries: LIMITS.registryTries, signal, onRetry: this.#onRetry };
  }

  async #ask<T>(
    signal: AbortSignal,
    attempt: (place: Place, signal: AbortSignal, order: PlaceOrder) => Promise<T>,
  ): Promise<T> {
    const order = await this.#places();
    return await withRetries(this.#retries(signal), async () => {
      const won = await order.ask(undefined, signal, (place, raceSignal) =>
        attempt(place, raceSignal, order),
      );
      return won.value;
    });
  }

  async #atOrigin<T>(
    signal: AbortSignal,
    work: (send: (ask: Ask) => Promise<Answer>) => Promise<T>,
  ): Promise<T> {
    const { origin } = await this.#places();
    return await withRetries(this.#retries(signal), () => work((ask) => this.#send(origin, ask)));
  }

  async #blobSource(): Promise<BlobSource> {
    return {
      wire: this.#wire,
      places: await this.#places(),
      send: (place, ask) => this.#send(place, { ...ask, headers: { accept: OCTETS, ...ask.headers } }),
      pathOf: ({ digest }) => this.#blobPath(digest),
      rules: this.#parts.rules,
      onRetry: this.#onRetry,
    };
  }

  async #sink(scopes: readonly string[] = this.#identity().scopes): Promise<UploadSink> {
    const { origin } = await this.#places();
    const identity = { ...this.#identity(), scopes };
    return {
      wire: this.#wire,
      send: (ask) => this.#send(origin, ask, identity),
      path: `/v2/${this.#parts.path}/blobs/uploads/`,
      allowPlain: origin.endpoints[0]?.skipVerify === true,
      chunkBytes: this.#wire.timings.chunkBytes,
      rules: this.#parts.rules,
      onRetry: this.#onRetry,
    };
  }
}
