import { shortId } from '#base/ids.ts';
import { digestHex, type Digest } from '#oci/digest.ts';
import type { ImageProgress } from '../image-service.ts';
import { amountLine, stepLine } from '../progress-bar.ts';

/** At most so often per layer. */
const INTERVAL_MS = 100;

/** What one layer reports, to as many as listen; one who comes later is told where it stands. */
export class LayerProgress {
  readonly #id: string;
  readonly #totalBytes: number;
  readonly #nowMs: () => number;
  readonly #listeners = new Set<(line: ImageProgress) => void>();
  #last: ImageProgress | null = null;
  #lastAmountMs = Number.NEGATIVE_INFINITY;
  #lastStatus = '';
  #counting: NodeJS.Timeout | null = null;

  constructor(
    of: { readonly digest: Digest; readonly sizeBytes: number },
    nowMs = (): number => performance.now(),
  ) {
    this.#id = layerId(of.digest);
    this.#totalBytes = of.sizeBytes;
    this.#nowMs = nowMs;
  }

  listen(listener: (line: ImageProgress) => void): () => void {
    if (this.#last !== null) listener(this.#last);
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  step(status: string): void {
    this.stopCounting();
    this.#step(status);
  }

  #step(status: string): void {
    this.#lastStatus = status;
    this.#lastAmountMs = Number.NEGATIVE_INFINITY;
    this.#tell(stepLine(this.#id, status));
  }

  /** The last amount of a step is always told, others some times a second. */
  amount(status: string, current: number): void {
    this.stopCounting();
    const nowMs = this.#nowMs();
    const isFirst = status !== this.#lastStatus;
    if (!isFirst && current < this.#totalBytes && nowMs - this.#lastAmountMs < INTERVAL_MS) return;
    this.#lastStatus = status;
    this.#lastAmountMs = nowMs;
    this.#tell(amountLine(this.#id, status, { current, total: this.#totalBytes }));
  }

  /** `Retrying in 2 seconds`, then `1 second`, until something else is reported. */
  countDown(delayMs: number): void {
    this.stopCounting();
    let seconds = Math.max(1, Math.round(delayMs / 1000));
    const tell = (): void => {
      this.#step(`Retrying in ${seconds} second${seconds === 1 ? '' : 's'}`);
      if (--seconds === 0) this.stopCounting();
    };
    this.#counting = setInterval(tell, 1000).unref();
    tell();
  }

  stopCounting(): void {
    if (this.#counting !== null) clearInterval(this.#counting);
    this.#counting = null;
  }

  #tell(line: ImageProgress): void {
    this.#last = line;
    for (const listener of this.#listeners) listener(line);
  }
}

/** What a layer is called in the lines of a pull. */
export function layerId(digest: Digest): string {
  return shortId(digestHex(digest));
}
