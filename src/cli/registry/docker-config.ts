import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { errorCode, errorMessage } from '#base/errors.ts';
import { isJsonObject, type JsonValue, parseJson } from '#base/json.ts';

/*
 * Who the user is at a registry: what `docker login` keeps in its `config.json`, or in the credential helpers
 * that this file names.
 */

/** What one asks the keeper of the passwords of Docker Hub for. */
const HUB_KEY = 'https://index.docker.io/v1/';
/** A path would run another program than a helper. */
const KEEPER_NAME = /^[\w.-]{1,128}$/;
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
  let text = '';
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (errorCode(error) !== 'ENOENT')
      complain(`WARNING: Error loading config file: ${errorMessage(error)}\n`);
    return undefined;
  }
  const config = jsonOf(text);
  if (config === undefined) complain(`WARNING: Error loading config file: ${path}: it is not valid JSON\n`);
  return config;
}

/** Why it is none is not told: the parser's words repeat the text, and secrets are in it. */
function jsonOf(text: string): JsonValue | undefined {
  try {
    return parseJson(text, 'JSON');
  } catch {
    return undefined;
  }
}

/** The answer of `docker-credential-NAME get`; undefined where it has none. */
function askKeeper(name: string, key: string, source: LoginSource): Promise<string | undefined> {
  const program = `docker-credential-${name}`;
  if (!KEEPER_NAME.test(name)) {
    source.complain(
      `WARNING: ${JSON.stringify(program.slice(0, 64))} cannot be the name of a credential helper\n`,
    );
    return Promise.resolve(undefined);
  }
  return new Promise((resolve) => {
    const child = spawn(program, ['get'], { env: source.environment, stdio: ['pipe', 'pipe', 'inherit'] });
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

/** As with docker, whose answer cannot be read has none, and the registry is asked without a login. */
function fromKeeper(answer: string, { complain }: LoginSource): Record<string, string> | undefined {
  const value = jsonOf(answer);
  if (value === undefined) {
    complain("WARNING: the credential helper's answer is not valid JSON\n");
    return undefined;
  }
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
  const login = answer === undefined ? fromFile(field(config, 'auths'), key) : fromKeeper(answer, source);
  if (login === undefined) return undefined;
  return Buffer.from(JSON.stringify({ ...login, serveraddress: key })).toString('base64url');
}
