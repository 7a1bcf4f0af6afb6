import { readFileSync } from 'node:fs';
import { EntryBatch } from '../entry-batch.ts';
import type { Native } from './native.ts';

/** Asking the kernel by its call sets it for a moment, for every thread. */
function currentUmask(): number {
  const line = /^Umask:\s*([0-7]+)$/m.exec(readFileSync('/proc/thread-self/status', 'latin1'));
  return line?.[1] === undefined ? process.umask() : Number.parseInt(line[1], 8);
}

export function startBatch(native: Native): EntryBatch {
  const umask = currentUmask();
  return new EntryBatch((entries, content) => native.makeEntries(entries, content, umask));
}
