import type { Violation } from './rules.ts';

/* What a registry's ledger says about pulls that were killed and repeated. */

/** One request for a blob's bytes. */
export interface BlobGet {
  readonly digest: string;
  /** Where the answer begins in the blob, and how much of it was sent. */
  readonly offset: number;
  readonly sentBytes: number;
}

/** From one start of the daemon to its end. */
export interface PullPhase {
  /** What was on the disk when it began: bytes by digest. */
  readonly had: ReadonlyMap<string, number>;
  readonly gets: readonly BlobGet[];
}

/**
 * What may be sent twice for each kill and each blob: a piece of the sender's, what lies in the kernel's
 * buffers, and what the receiver had not yet given to the file system.
 */
export const TAIL_BYTES = 1 << 20;

export interface Resumed {
  readonly violations: readonly Violation[];
  /** The most that was sent twice after one kill. */
  readonly mostAgain: number;
}

/**
 * No byte that was on the disk is sent again, and of what had been sent only the last bytes: the first
 * request of each blob begins where its file ends, and not long before the last one of the run before. Nor
 * does a later request of the same run take again what the ones before it were sent.
 */
export function resumed(phases: readonly PullPhase[], sizes: ReadonlyMap<string, number>): Resumed {
  const violations: Violation[] = [];
  let mostAgain = 0;
  for (const [index, phase] of phases.entries()) {
    const before = phases[index - 1];
    for (const [digest, sizeBytes] of sizes) {
      const had = phase.had.get(digest) ?? 0;
      const gets = phase.gets.filter((get) => get.digest === digest);
      const say = (text: string): void =>
        void violations.push({
          rule: 'resume',
          text: `${digest.slice(7, 19)} (${sizeBytes} bytes): ${text}`,
        });
      for (const text of repeated(gets, sizeBytes)) say(text);
      const [first] = gets;
      if (first === undefined) continue;
      if (had >= sizeBytes) say(`asked for again, and it was here whole`);
      if (first.offset !== had) say(`asked for from ${first.offset}, ${had} bytes were here`);
      if (before === undefined) continue;
      const again = Math.max(0, ...endsOf(before, digest), before.had.get(digest) ?? 0) - first.offset;
      mostAgain = Math.max(mostAgain, again);
      if (again > TAIL_BYTES) say(`${again} bytes were sent twice`);
    }
  }
  return { violations, mostAgain };
}

/** What is wrong with the requests for one blob in one run, each held against those before it. */
function repeated(gets: readonly BlobGet[], sizeBytes: number): string[] {
  const wrong: string[] = [];
  let reached = 0;
  for (const [index, get] of gets.entries()) {
    const again = reached - get.offset;
    if (index > 0 && reached >= sizeBytes) wrong.push('asked for again in the same run, when all was sent');
    else if (index > 0 && again > TAIL_BYTES) wrong.push(`${again} bytes were sent twice in the same run`);
    reached = Math.max(reached, endOf(get));
  }
  return wrong;
}

function endOf({ offset, sentBytes }: BlobGet): number {
  return offset + sentBytes;
}

function endsOf({ gets }: PullPhase, digest: string): number[] {
  return gets.filter((get) => get.digest === digest).map(endOf);
}
