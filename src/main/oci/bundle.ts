import { readFileSync, realpathSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { errorCode } from '#base/errors.ts';
import { isJsonObject, type JsonValue, parseJson } from '#base/json.ts';
import { LIMITS } from '#base/limits.ts';
import { Failure } from './messages.ts';

/** A JSON file that somebody else wrote. */
export function readJsonFile(path: string, what: string): JsonValue {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size > LIMITS.ociSpecBytes) throw new Failure(`${what} is larger than ${LIMITS.ociSpecBytes} bytes`);
  return parseJson(readFileSync(path, 'utf8'), what);
}

/** The bundle's directory, absolute and without links, and what its config.json says, unchecked. */
export function readBundle(given: string | undefined): { bundle: string; config: JsonValue } {
  const directory = given === undefined || given === '' ? '.' : given;
  let bundle: string;
  try {
    bundle = realpathSync(resolve(directory));
    if (!statSync(bundle).isDirectory()) throw new Failure(`chdir ${directory}: not a directory`);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
    throw new Failure(`chdir ${directory}: no such file or directory`);
  }
  try {
    const config = readJsonFile(join(bundle, 'config.json'), 'config.json');
    if (!isJsonObject(config)) throw new Failure('config.json: must be an object');
    return { bundle, config };
  } catch (error) {
    if (errorCode(error) === 'ENOENT') throw new Failure('JSON specification file config.json not found');
    throw error;
  }
}
