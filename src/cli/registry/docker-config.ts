import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { isJsonObject, type JsonValue, parseJson } from '#base/json.ts';

/*
 * Who the user is at a registry: what `docker login` keeps in its `config.json`, or in the credential helpers
 * that this file names.
 */

/** What one asks the keeper of the passwords of Docker Hub for. */
const HUB_KEY = 'https://index.docker.io/v1/';
/** In place of a user's name where the secret is a token for this registry. */
const TOKEN_USER = '<token>';

export interface LoginSource {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly complain: (text: string) => void;
}

function field(value: JsonValue | undefined, key: string): JsonValue | undefined {
  return isJsonObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

function textOf(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : '';
}

/** A file that cannot be read is told of and counts as none. */
async function readConfig({ environment, complain }: LoginSource): Promise<JsonValue | undefined> {
  const folder = environment['DOCKER_CONFIG'] || join(homedir(), '.docker');
  const path = join(folder, 'config.json');
  try {
    return parseJson(await readFile(path, 'utf8'), path);
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    const why = error instanceof Error ? error.message : String(error);
    if (!isMissing) complain(`WARNING: Error loading config file: ${why}\n`);
    return undefined;
  }
}

/** The answer of `docker-credential-NAME get`; undefined where it has none. */
function askKeeper(name: string, key: string, source: LoginSource): Promise<string | undefined> {
  return new Promise((resolve) => {
    const program = `docker-credential-${name}`;
    const child = spawn(program, ['get'], { env: source.environment, stdio: ['pipe', 'pipe', 'ignore'] });
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.stdin.on('error', () => undefined);
    child.on('error', (error) => {
      source.complain(`WARNING: ${program}: ${error.message}\n`);
      resolve(undefined);
    });
    child.on('close', (code) => resolve(code === 0 ? Buffer.concat(chunks).toString('utf8') : undefined));
    child.stdin.end(key);
  });
}

function fromKeeper(answer: string): Record<string, string> {
  const value = parseJson(answer, 'the answer of the credential helper');
  const [username, secret] = [textOf(field(value, 'Username')), textOf(field(value, 'Secret'))];
  return username === TOKEN_USER ? { identitytoken: secret } : { username, password: secret };
}

function hostOf(key: string): string {
  return key.replace(/^https?:\/\//, '').split('/')[0] ?? '';
}

/** `auth` is base64 of `user:password`. */
function fromFile(auths: JsonValue | undefined, key: string): Record<string, string> | undefined {
  const kept = isJsonObject(auths) ? Object.keys(auths) : [];
  const found = field(auths, kept.includes(key) ? key : (kept.find((one) => hostOf(one) === key) ?? key));
  const plain = Buffer.from(textOf(field(found, 'auth')), 'base64').toString('utf8');
  const colon = plain.indexOf(':');
  const identitytoken = textOf(field(found, 'identitytoken'));
  if (colon < 0 && identitytoken === '') return undefined;
  const [username, password] = [plain.slice(0, Math.max(colon, 0)), plain.slice(colon + 1)];
  return { username, password, ...(identitytoken !== '' && { identitytoken }) };
}

/** The value of `X-Registry-Auth` for a registry; undefined where the user has not logged in. */
export async function registryAuth(domain: string, source: LoginSource): Promise<string | undefined> {
  const key = domain === 'docker.io' ? HUB_KEY : domain;
  const config = await readConfig(source);
  const keeper = textOf(field(field(config, 'credHelpers'), key)) || textOf(field(config, 'credsStore'));
  const answer = keeper === '' ? undefined : await askKeeper(keeper, key, source);
  const login = answer === undefined ? fromFile(field(config, 'auths'), key) : fromKeeper(answer);
  if (login === undefined) return undefined;
  return Buffer.from(JSON.stringify({ ...login, serveraddress: key })).toString('base64url');
}
