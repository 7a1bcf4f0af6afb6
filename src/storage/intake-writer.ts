import { giveBack } from '#base/give-back.ts';
import type { Intake } from './intake.ts';

/** There are two of them: one is written while the other one is filled. They are smaller for a small blob. */
const BUFFER_BYTES = 512 * 1024;
/** From so many bytes on they are written, where nothing else is being written. */
const WRITE_BYTES = 256 * 1024;

/** How much will come, where that is known. */
type Expected = Partial<Pick<Intake, 'sizeBytes' | 'haveBytes'>>;

/** Copies what comes into an intake, while what came before is still being written. */
export class IntakeWriter {
  readonly #intake: Pick<Intake, 'append'>;
  readonly #onWritten: (bytes: number) => void;
  #filling: Buffer;
  #other: Buffer;
  #filled = 0;
  #writing: Promise<void> | null = null;
  #failure: { readonly error: unknown } | null = null;

  /** `onWritten` is told how many bytes more are in the file. */
  constructor(
    intake: Pick<Intake, 'append'> & Expected,
    onWritten: (bytes: number) => void = () => undefined,
  ) {
    const { sizeBytes = Infinity, haveBytes = 0 } = intake;
    const bytes = Math.max(1, Math.min(BUFFER_BYTES, sizeBytes - haveBytes));
    this.#intake = intake;
    this.#onWritten = onWritten;
    this.#filling = Buffer.allocUnsafeSlow(bytes);
    this.#other = Buffer.allocUnsafeSlow(bytes);
  }

  /** Afterwards the piece is the caller's again. Errors: the disk's, `onWritten`'s, also of earlier pieces. */
  async add(piece: Uint8Array): Promise<void> {
    for (let at = 0; at < piece.length; ) {
      const part = piece.subarray(at, at + this.#filling.length - this.#filled);
      this.#filling.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      const isFull = this.#filled === this.#filling.length;
      if (isFull) await this.#writing;
      if (isFull || this.#filled >= WRITE_BYTES) this.#write();
      this.#check();
    }
  }

  /** Everything is in the file. */
  async end(): Promise<void> {
    await this.#writing;
    this.#write();
    await this.#writing;
    this.#check();
  }

  /** Nothing is written any more; to be called once, after `end` or instead of it. */
  async stop(): Promise<void> {
    await this.#writing;
    giveBack(this.#filling);
    giveBack(this.#other);
  }

  #write(): void {
    if (this.#writing !== null || this.#filled === 0 || this.#failure !== null) return;
    const bytes = this.#filling.subarray(0, this.#filled);
    [this.#filling, this.#other] = [this.#other, this.#filling];
    this.#filled = 0;
    this.#writing = this.#append(bytes).finally(() => (this.#writing = null));
  }

  /** Never rejects: whoever adds next, or ends, is told of a failure. */
  async #append(bytes: Buffer): Promise<void> {
    try {
      await this.#intake.append([bytes]);
      this.#onWritten(bytes.length);
    } catch (error) {
      this.#failure = { error };
    }
  }

  #check(): void {
    if (this.#failure !== null) throw this.#failure.error;
  }
}
