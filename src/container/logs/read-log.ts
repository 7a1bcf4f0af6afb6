import { watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { Log } from '#base/log.ts';
import type { OutputFrame } from '../ports.ts';
import { LogLineReader } from './line-reader.ts';
import { judge, parseLogRecord, renderRecord, type LineStyle, type LogWindow } from './log-record.ts';

export interface ReadLogRequest {
  readonly path: string;
  readonly window: LogWindow;
  readonly style: LineStyle;
  /** The last so many lines; null: all. */
  readonly tail: number | null;
  readonly signal: AbortSignal;
  readonly log: Log;
  /** With it the log is followed until this says that nothing writes any more. */
  readonly follow: { isWriting(): boolean; onChange(listener: () => void): () => void } | null;
}

/** Wakes a follower: something was written, or whoever writes has ended. */
class Wake {
  #resolve: (() => void) | null = null;
  #isSet = false;

  set(): void {
    this.#isSet = true;
    this.#resolve?.();
  }

  async wait(): Promise<void> {
    if (!this.#isSet) await new Promise<void>((resolve) => (this.#resolve = resolve));
    this.#isSet = false;
    this.#resolve = null;
  }
}

/**
 * Reads a json-file log as frames. Holds a chunk and a line in memory; a slow taker just leaves the rest in
 * the file.
 */
export async function* readLog(request: ReadLogRequest): AsyncGenerator<OutputFrame> {
  const { signal, follow } = request;
  const reader = new LogLineReader(request.path);
  const wake = new Wake();
  const name = basename(request.path);
  // The directory, since a rotation replaces the file.
  const watcher =
    follow === null
      ? null
      : watch(dirname(request.path), (_event, file) => {
          if (file === null || file === name) wake.set();
        });
  watcher?.on('error', () => wake.set());
  const onAbort = (): void => wake.set();
  signal.addEventListener('abort', onAbort);
  const stopListening = follow?.onChange(() => wake.set());
  try {
    await reader.seek(request.tail);
    for (;;) {
      // Asked before reading: what was written up to the end is read once more after it.
      const isLast = follow === null || !follow.isWriting();
      const done = yield* readAvailable(reader, request);
      if (done || isLast || signal.aborted) return;
      await wake.wait();
    }
  } finally {
    watcher?.close();
    stopListening?.();
    signal.removeEventListener('abort', onAbort);
    await reader.close();
  }
}

/** Everything written so far; true when the rest is not asked for. */
async function* readAvailable(
  reader: LogLineReader,
  request: ReadLogRequest,
): AsyncGenerator<OutputFrame, boolean> {
  let damaged = 0;
  try {
    for (;;) {
      if (request.signal.aborted) return true;
      const line = await reader.next();
      if (line === null) return false;
      const record = line.kind === 'line' ? parseLogRecord(line.text) : null;
      if (record === null) {
        damaged += 1;
        continue;
      }
      const verdict = judge(record, request.window);
      if (verdict === 'after') return true;
      if (verdict === 'take') yield renderRecord(record, request.style);
    }
  } finally {
    if (damaged > 0)
      request.log.warn('damaged log records were skipped', { path: request.path, count: damaged });
  }
}
