import { randomUUID } from 'node:crypto';
import { KeyedMutex } from '#base/keyed-mutex.ts';
import { LIMITS } from '#base/limits.ts';
import type { BlobUpload, RegistryBlobs } from '../storage-port.ts';
import { Fault, STATUS, uploadUnknown } from './fault.ts';

export interface UploadSession {
  readonly id: string;
  readonly upload: BlobUpload;
}

interface Open extends UploadSession {
  readonly repo: string;
  /** Ends the request that is adding bytes now. */
  interrupt: (() => void) | null;
}

/**
 * Uploads in progress. One that an earlier run of the server left can be gone on with: its random id is all
 * that it takes, and whoever names it first says its repository.
 */
export class UploadSessions {
  readonly #blobs: RegistryBlobs;
  readonly #open = new Map<string, Open>();
  readonly #turns = new KeyedMutex();
  readonly #nowMs: () => number;

  constructor(blobs: RegistryBlobs, nowMs: () => number) {
    this.#blobs = blobs;
    this.#nowMs = nowMs;
  }

  /** Errors: 429 when there are `LIMITS.registryUploads` already. */
  async begin(repo: string): Promise<UploadSession> {
    if (this.#open.size >= LIMITS.registryUploads) throw new Fault(STATUS.tooManyRequests, 'TOOMANYREQUESTS');
    const id = randomUUID();
    // Its place is taken before anything is awaited: the bound holds for those who come at once.
    const place: Open = { id, repo, upload: NOTHING, interrupt: null };
    this.#open.set(id, place);
    try {
      const session = { ...place, upload: await this.#blobs.begin(id) };
      this.#open.set(id, session);
      return session;
    } catch (error) {
      this.#open.delete(id);
      throw error;
    }
  }

  /** Errors: 404. */
  async find(repo: string, id: string): Promise<UploadSession> {
    return this.#find(repo, id);
  }

  /**
   * Runs `work` as the only one of this session. Who comes later takes over: a client that lost its
   * connection need not wait until the server notices that too.
   */
  async use<T>(
    where: { readonly repo: string; readonly id: string },
    interrupt: () => void,
    work: (session: UploadSession) => Promise<T>,
  ): Promise<T> {
    const { repo, id } = where;
    (await this.#find(repo, id)).interrupt?.();
    return this.#turns.run(id, async () => {
      const session = await this.#find(repo, id);
      session.interrupt = interrupt;
      try {
        return await work(session);
      } finally {
        session.interrupt = null;
      }
    });
  }

  /** What it was is published or thrown away. */
  forget(id: string): void {
    this.#open.delete(id);
  }

  async cancel(session: UploadSession): Promise<void> {
    this.#open.delete(session.id);
    await session.upload.cancel();
  }

  /** Ends those that nobody added to for `LIMITS.registryUploadKeepMs`. */
  async expire(): Promise<void> {
    const before = this.#nowMs() - LIMITS.registryUploadKeepMs;
    for (const { session: id, changedMs } of await this.#blobs.uploads()) {
      if (changedMs > before || this.#turns.isHeld(id)) continue;
      await this.#turns.run(id, async () => {
        const upload = this.#open.get(id)?.upload ?? (await this.#blobs.resume(id));
        if (upload !== null) await this.cancel({ id, upload });
      });
    }
  }

  /** Removes those that an earlier run left. */
  async cancelLeft(): Promise<void> {
    for (const { session } of await this.#blobs.uploads()) {
      if (!this.#open.has(session)) await (await this.#blobs.resume(session))?.cancel();
    }
  }

  async #find(repo: string, id: string): Promise<Open> {
    const known = this.#open.get(id);
    if (known !== undefined) {
      if (known.repo !== repo || known.upload === NOTHING) throw uploadUnknown();
      return known;
    }
    const upload = await this.#blobs.resume(id);
    const raced = this.#open.get(id);
    if (raced !== undefined) return raced;
    if (upload === null) throw uploadUnknown();
    const session: Open = { id, repo, upload, interrupt: null };
    this.#open.set(id, session);
    return session;
  }
}

const nothingYet = (): Promise<never> => Promise.reject(uploadUnknown());
/** Stands where an upload is being opened. */
const NOTHING: BlobUpload = {
  sizeBytes: 0,
  append: nothingYet,
  read: nothingYet,
  digest: nothingYet,
  commit: nothingYet,
  cancel: () => Promise.resolve(),
};
