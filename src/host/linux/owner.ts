import type { Owner } from '#base/id-mapping.ts';
import { type Call, check, type Sys } from './sys.ts';

const CAPABILITY_VERSION_3 = 0x20080522;
/** Two sets of effective, permitted and inheritable, 32 capabilities each. */
const CAPABILITY_BYTES = 24;
const SET_BYTES = 12;

/**
 * What a thread does first so that files are made as somebody else's, with all of root's rights: giving up
 * uid 0 for files takes capabilities away, and they are taken back. The thread is spoiled.
 */
export function becomeOwner(sys: Pick<Sys, 'raw'>, { uid, gid }: Owner): readonly Call[] {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(CAPABILITY_VERSION_3, 0);
  const sets = Buffer.alloc(CAPABILITY_BYTES);
  check(sys.raw('capget', header, sets), 'capget');
  for (const at of [0, SET_BYTES]) sets.copy(sets, at, at + 4, at + 8);
  return [
    ['setfsgid', gid],
    ['setfsuid', uid],
    ['capset', header, sets],
  ];
}
