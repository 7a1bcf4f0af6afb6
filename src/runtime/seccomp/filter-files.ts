import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorCode } from '#base/errors.ts';
import type { SpecSeccomp } from '#oci/runtime-spec.ts';
import { compileSeccomp, type SeccompArch, type SeccompProgram } from './compile.ts';

/** So many files at most; two profiles that fall on one take turns. */
const FILES = 32;
const HEAD_BYTES = 8;
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** Which file; that it is the right one is seen in it. */
function placeOf(key: string): number {
  let hash = FNV_OFFSET;
  for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key.charCodeAt(at), FNV_PRIME);
  return (hash >>> 0) % FILES;
}

/** The filter in a file: flags, length of the key, the key, the program. Null when it is another one's. */
function decode(bytes: Buffer, key: Buffer): SeccompProgram | null {
  if (bytes.length < HEAD_BYTES + key.length || bytes.readUInt32LE(4) !== key.length) return null;
  if (!bytes.subarray(HEAD_BYTES, HEAD_BYTES + key.length).equals(key)) return null;
  const program = bytes.subarray(HEAD_BYTES + key.length);
  return program.length > 0 && program.length % 8 === 0 ? { flags: bytes.readUInt32LE(0), program } : null;
}

function encode({ flags, program }: SeccompProgram, key: Buffer): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32LE(flags, 0);
  head.writeUInt32LE(key.length, 4);
  return Buffer.concat([head, key, program]);
}

/**
 * Compiled filters of a program that lives for one command, in files of a directory that only it writes to. A
 * file holds the whole profile that its filter was made of, and the compiler's `generation`.
 */
export class FilterFiles {
  readonly #directory: string;
  readonly #generation: string;

  constructor(directory: string, generation: string) {
    this.#directory = directory;
    this.#generation = generation;
  }

  /** Errors: those of `compileSeccomp`. */
  program(seccomp: SpecSeccomp, arch: SeccompArch): SeccompProgram {
    const text = `${this.#generation}\n${arch}\n${JSON.stringify(seccomp)}`;
    const key = Buffer.from(text);
    const path = join(this.#directory, `seccomp-${placeOf(text)}`);
    return this.#read(path, key) ?? this.#make(path, key, compileSeccomp(seccomp, arch));
  }

  #read(path: string, key: Buffer): SeccompProgram | null {
    try {
      return decode(readFileSync(path), key);
    } catch (error) {
      if (errorCode(error) === undefined) throw error;
      return null;
    }
  }

  /** Without the file the next one compiles again, that is all. */
  #make(path: string, key: Buffer, program: SeccompProgram): SeccompProgram {
    const staged = `${path}.${process.pid}`;
    try {
      // Not its parents: where the program cannot write there are no files.
      if (!existsSync(this.#directory)) mkdirSync(this.#directory, { mode: 0o700 });
      writeFileSync(staged, encode(program, key), { mode: 0o600, flag: 'wx' });
      renameSync(staged, path);
    } catch (error) {
      if (errorCode(error) === undefined) throw error;
    }
    return program;
  }
}
