import { createHash } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { EngineError } from './errors.ts';
import { parseJson, type JsonValue } from './json.ts';
import { LIMITS } from './limits.ts';

/*
 * A durable record is one JSON document in a file of its own, with its SHA-256 in front:
 * `sha256:<hex>\n<json>\n`. It changes only by flushed writes (temporary file, fsync, rename, fsync of the
 * directory): an unflushed rename over a good record may leave it empty after a power cut.
 */

/** What stands in the file. */
export function encodeRecord(value: unknown): string {
  const json = JSON.stringify(value);
  return `sha256:${createHash('sha256').update(json).digest('hex')}\n${json}\n`;
}

/** Flushes a directory, so that renames and removals in it survive a power cut. One flush. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Writes a record into a directory that is not visible yet (staged): file flushed, directory left to the
 * caller. One flush.
 */
export async function writeStagedRecord(path: string, value: unknown): Promise<void> {
  const handle = await open(path, 'w', 0o600);
  try {
    await handle.writeFile(encodeRecord(value));
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Replaces a record durably. Two flushes. The caller keeps writers of one path apart. */
export async function writeRecord(path: string, value: unknown): Promise<void> {
  const temporary = `${path}.tmp`;
  await writeStagedRecord(temporary, value);
  await rename(temporary, path);
  await syncDirectory(dirname(path));
}

/** Errors: `notFound` when there is none, `dataLoss` when its checksum or form is wrong. */
export async function readRecord(path: string): Promise<JsonValue> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new EngineError(
      error.code === 'ENOENT' ? 'notFound' : 'dataLoss',
      `record ${path}: ${error.message}`,
      { cause: error },
    );
  });
  const newline = text.indexOf('\n');
  const json = text.slice(newline + 1, -1);
  const sum = `sha256:${createHash('sha256').update(json).digest('hex')}`;
  if (newline < 0 || text.length > LIMITS.recordBytes || text.slice(0, newline) !== sum) {
    throw new EngineError('dataLoss', `record ${path} is damaged: its checksum does not match`);
  }
  return parseJson(json, `record ${path}`);
}

/** Moves something damaged out of the way, into `quarantine/` beside it; returns where it went. */
export async function quarantine(path: string, quarantineDirectory: string, name: string): Promise<string> {
  await mkdir(quarantineDirectory, { recursive: true, mode: 0o700 });
  const target = join(quarantineDirectory, `${name}.${Date.now()}`);
  await rm(target, { recursive: true, force: true });
  await rename(path, target);
  return target;
}
