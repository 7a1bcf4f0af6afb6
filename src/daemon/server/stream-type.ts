import { MULTIPLEXED_STREAM, RAW_STREAM } from '#api/multiplex.ts';
import { atLeast, type Call } from './call.ts';

/** The content type that tells frames from raw bytes; clients before 1.42 know only one. */
export function streamType(call: Call, tty: boolean): string {
  return !tty && atLeast(call, '1.42') ? MULTIPLEXED_STREAM : RAW_STREAM;
}
