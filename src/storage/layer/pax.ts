import { EngineError } from '#base/errors.ts';
import { invalidHeader } from './tar-header.ts';

/** What a PAX extended header says about the entry after it. */
export interface PaxRecords {
  path?: string;
  linkPath?: string;
  size?: number;
  uid?: number;
  gid?: number;
  mtime?: { seconds: number; nanoseconds: number };
  xattrs?: Map<string, Buffer>;
}

const XATTR_PREFIX = 'SCHILY.xattr.';

function integer(value: string): number {
  if (!/^-?[0-9]{1,19}$/.test(value)) throw invalidHeader();
  const result = Number(value);
  if (!Number.isSafeInteger(result)) throw invalidHeader();
  return result;
}

/** `-1.5` is half a second before -1: seconds -2, nanoseconds 500000000. */
function time(value: string): { seconds: number; nanoseconds: number } {
  const match = /^(-?)([0-9]{1,15})(?:\.([0-9]*))?$/.exec(value);
  if (match === null) throw invalidHeader();
  const whole = Number(match[2]);
  const nanoseconds = Number((match[3] ?? '').slice(0, 9).padEnd(9, '0'));
  if (match[1] !== '-') return { seconds: whole, nanoseconds };
  return nanoseconds === 0
    ? { seconds: -whole, nanoseconds }
    : { seconds: -whole - 1, nanoseconds: 1e9 - nanoseconds };
}

function pathText(value: string): string {
  if (value.includes('\0')) throw invalidHeader();
  return value;
}

function apply(records: PaxRecords, key: string, value: Buffer): void {
  const textValue = (): string => value.toString('latin1', 0, value.length);
  // An empty value takes an earlier one back.
  if (key.startsWith(XATTR_PREFIX)) {
    const name = key.slice(XATTR_PREFIX.length);
    if (name === '' || name.includes('\0')) throw invalidHeader();
    (records.xattrs ??= new Map()).set(name, Buffer.from(value));
  } else if (key.startsWith('GNU.sparse.')) {
    throw new EngineError('invalidArgument', 'archive/tar: sparse files are not supported', {
      hint: 'Write the archive without --sparse.',
    });
  } else if (value.length === 0) return;
  else if (key === 'path') records.path = pathText(textValue());
  else if (key === 'linkpath') records.linkPath = pathText(textValue());
  else if (key === 'size') records.size = integer(textValue());
  else if (key === 'uid') records.uid = integer(textValue());
  else if (key === 'gid') records.gid = integer(textValue());
  else if (key === 'mtime') records.mtime = time(textValue());
}

/** Reads `<length> <key>=<value>\n` records. Errors: `invalidArgument`. */
export function parsePax(bytes: Buffer): PaxRecords {
  const records: PaxRecords = {};
  let position = 0;
  while (position < bytes.length && bytes[position] !== 0) {
    const space = bytes.indexOf(0x20, position);
    if (space < 0 || space - position > 10) throw invalidHeader();
    const length = integer(bytes.toString('latin1', position, space));
    const end = position + length;
    if (length < space - position + 3 || end > bytes.length || bytes[end - 1] !== 0x0a) throw invalidHeader();
    const equals = bytes.indexOf(0x3d, space + 1);
    if (equals < 0 || equals >= end - 1) {
      throw invalidHeader();
    }
    apply(records, bytes.toString('latin1', space + 1, equals), bytes.subarray(equals + 1, end - 1));
    position = end;
  }
  return records;
}
