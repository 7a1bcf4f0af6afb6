import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { copyFile, open, rename, truncate, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncDirectory } from '#base/durable-record.ts';
import { EngineError, errorCode } from '#base/errors.ts';
import { parseJson, type JsonValue } from '#base/json.ts';
import { LIMITS } from '#base/limits.ts';
import type { Log } from '#base/log.ts';

/*
 * One file to whose end records are written, one a line: sixteen digits of the line's SHA-256, a blank, JSON.
 * A batch is on the disk before anybody hears that it is done; those who come meanwhile share the next flush.
 * What a crash tore off at the end was acknowledged to nobody and is cut away.
 */

const SUM_DIGITS = 16;

interface Waiting {
  readonly lines: string;
  readonly apply: () => void;
  readonly done: PromiseWithResolvers<void>;
}

function encodeLine(record: JsonValue): string {
  const json = JSON.stringify(record);
  return `${createHash('sha256').update(json).digest('hex').slice(0, SUM_DIGITS)} ${json}\n`;
}

function decodeLine(line: Buffer): JsonValue | undefined {
  const json = line.subarray(SUM_DIGITS + 1);
  const sum = createHash('sha256').update(json).digest('hex').slice(0, SUM_DIGITS);
  if (line.toString('latin1', 0, SUM_DIGITS + 1) !== `${sum} `) return undefined;
  return parseJson(json.toString('utf8'), 'journal');
}

/** The lines of a file with their offsets; the last may lack its newline. */
async function* linesOf(path: string): AsyncGenerator<{ line: Buffer; start: number; isWhole: boolean }> {
  let rest = Buffer.alloc(0);
  let start = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 256 * 1024 })) {
    let bytes = Buffer.concat([rest, chunk as Buffer]);
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10)) {
      yield { line: bytes.subarray(0, end), start, isWhole: true };
      start += end + 1;
      bytes = bytes.subarray(end + 1);
    }
    if (bytes.length > LIMITS.journalLineBytes)
      throw new EngineError('dataLoss', `${path}: a line without end`);
    rest = Buffer.from(bytes);
  }
  if (rest.length > 0) yield { line: rest, start, isWhole: false };
}

export class Journal {
  readonly #path: string;
  #file: FileHandle;
  #sizeBytes: number;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | null = null;
  #broken: EngineError | null = null;
  #lines: number;

  private constructor(path: string, file: FileHandle, state: { sizeBytes: number; lines: number }) {
    this.#path = path;
    this.#file = file;
    this.#sizeBytes = state.sizeBytes;
    this.#lines = state.lines;
  }

  /** Gives every record to `take`, in order. */
  static async open(path: string, take: (record: JsonValue) => void, log: Log): Promise<Journal> {
    const made = await open(path, 'a', 0o600);
    await made.close();
    const damaged: number[] = [];
    let [sizeBytes, lines] = [0, 0];
    for await (const { line, start, isWhole } of linesOf(path)) {
      const record = isWhole ? decodeLine(line) : undefined;
      if (record === undefined) {
        damaged.push(start);
        continue;
      }
      take(record);
      lines++;
      sizeBytes = start + line.length + 1;
    }
    if (damaged.some((start) => start < sizeBytes)) {
      const copy = `${path}.damaged-${Date.now()}`;
      await copyFile(path, copy);
      log.error('the index of repositories has damaged lines; a copy is kept', {
        copy,
        lines: damaged.length,
      });
    }
    if (damaged.length > 0) await truncate(path, sizeBytes);
    const file = await open(path, 'r+');
    await file.sync();
    await syncDirectory(dirname(path));
    return new Journal(path, file, { sizeBytes, lines });
  }

  /** Records in the file, those that later ones made void too. */
  get lineCount(): number {
    return this.#lines;
  }

  /**
   * Resolves when the records are durable; `apply` runs then, in the order of the calls. Errors: what the
   * disk says; nothing is applied then.
   */
  async append(records: readonly JsonValue[], apply: () => void): Promise<void> {
    if (this.#broken !== null) throw this.#broken;
    const done = Promise.withResolvers<void>();
    this.#waiting.push({ lines: records.map(encodeLine).join(''), apply, done });
    this.#lines += records.length;
    this.#start(() => this.#drain());
    return done.promise;
  }

  /** Writes the file anew with just these records, which are what is true at the moment of the call. */
  async rewrite(records: () => Iterable<JsonValue>): Promise<void> {
    while (this.#writing !== null) await this.#writing;
    const done = Promise.withResolvers<void>();
    this.#start(() => this.#rewrite(records).then(done.resolve, done.reject));
    await done.promise;
  }

  async close(): Promise<void> {
    while (this.#writing !== null) await this.#writing;
    this.#broken ??= new EngineError('unavailable', 'the registry is shutting down');
    await this.#file.close();
  }

  #start(work: () => Promise<void>): void {
    if (this.#writing !== null) return;
    this.#writing = work().finally(() => {
      this.#writing = null;
      if (this.#waiting.length > 0) this.#start(() => this.#drain());
    });
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        await this.#write(Buffer.from(batch.map((entry) => entry.lines).join('')));
      } catch (error) {
        for (const entry of batch) entry.done.reject(error);
        continue;
      }
      for (const entry of batch) {
        entry.apply();
        entry.done.resolve();
      }
    }
  }

  async #write(bytes: Buffer): Promise<void> {
    if (this.#broken !== null) throw this.#broken;
    try {
      for (let at = 0; at < bytes.length; ) {
        const { bytesWritten } = await this.#file.write(bytes, at, bytes.length - at, this.#sizeBytes + at);
        at += bytesWritten;
      }
    } catch (error) {
      await this.#file.truncate(this.#sizeBytes).catch((cause: unknown) => this.#break(cause));
      throw error;
    }
    // After a failed flush nobody knows what the disk holds: only another start reads it again.
    await this.#file.datasync().catch((cause: unknown) => {
      this.#break(cause);
      throw cause;
    });
    this.#sizeBytes += bytes.length;
  }

  #break(cause: unknown): void {
    this.#broken = new EngineError('unavailable', `${this.#path} cannot be written (${errorCode(cause)})`, {
      cause,
      hint: 'See to the disk, then start the registry again.',
    });
  }

  async #rewrite(records: () => Iterable<JsonValue>): Promise<void> {
    const temporary = `${this.#path}.new`;
    const file = await open(temporary, 'w', 0o600);
    let [sizeBytes, lines] = [0, 0];
    try {
      let text: string[] = [];
      const all = [...records()];
      for (const record of all) {
        text.push(encodeLine(record));
        lines++;
        if (text.length < 1000 && lines < all.length) continue;
        const bytes = Buffer.from(text.join(''));
        await file.writeFile(bytes);
        sizeBytes += bytes.length;
        text = [];
      }
      await file.sync();
      await rename(temporary, this.#path);
    } catch (error) {
      await file.close();
      throw error;
    }
    const before = this.#file;
    this.#file = file;
    this.#sizeBytes = sizeBytes;
    this.#lines = lines + this.#waiting.length;
    await before.close();
    await syncDirectory(dirname(this.#path));
  }
}
