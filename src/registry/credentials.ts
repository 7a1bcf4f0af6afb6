import { isJsonObject, parseJson, type JsonObject, type JsonValue } from '#base/json.ts';
import { LIMITS } from '#base/limits.ts';

/** What a user has for one registry; empty texts where there is nothing. */
export interface Credentials {
  readonly username: string;
  readonly password: string;
  /** A refresh token, exchanged for access tokens. */
  readonly identityToken: string;
  /** An access token, sent as it is. */
  readonly registryToken: string;
  /** The registry they are for; empty means the one of the image's name. */
  readonly serverAddress: string;
}

function text(object: JsonObject, key: string): string {
  const found = Object.keys(object).find((name) => name.toLowerCase() === key);
  const value = found === undefined ? undefined : object[found];
  return typeof value === 'string' ? value : '';
}

/** `auth` holds base64 of `user:password` for clients that do not send the two apart. */
function fromAuth(auth: string): { username: string; password: string } {
  const plain = Buffer.from(auth, 'base64').toString('utf8');
  const colon = plain.indexOf(':');
  return colon < 0
    ? { username: '', password: '' }
    : { username: plain.slice(0, colon), password: plain.slice(colon + 1).replaceAll('\0', '') };
}

/** The JSON form of them: `{username, password, auth, identitytoken, registrytoken, serveraddress}`. */
export function readCredentials(value: JsonValue | undefined): Credentials | null {
  if (!isJsonObject(value)) return null;
  const auth = fromAuth(text(value, 'auth'));
  return {
    username: text(value, 'username') || auth.username,
    password: text(value, 'password') || auth.password,
    identityToken: text(value, 'identitytoken'),
    registryToken: text(value, 'registrytoken'),
    serverAddress: text(value, 'serveraddress'),
  };
}

function decode(header: string): JsonValue | undefined {
  if (header === '' || header.length > LIMITS.headerBlockBytes) return undefined;
  try {
    // Node's decoder takes both alphabets, with padding and without.
    return parseJson(Buffer.from(header, 'base64url').toString('utf8'), 'X-Registry-Auth');
  } catch {
    return undefined;
  }
}

function isEmpty(credentials: Credentials): boolean {
  const { username, password, identityToken, registryToken } = credentials;
  return username === '' && password === '' && identityToken === '' && registryToken === '';
}

/** `X-Registry-Auth`. A header that says nothing usable counts as none, as with the reference. */
export function decodeRegistryAuth(header: string): Credentials | null {
  const credentials = readCredentials(decode(header));
  return credentials === null || isEmpty(credentials) ? null : credentials;
}
