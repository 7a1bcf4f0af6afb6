import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { EngineError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { type Flag, type FlagValues, parseFlags, UsageError } from '../oci/flags.ts';

export const DEFAULT_ADDRESS = '127.0.0.1:5000';
const DEFAULT_DATA = '/var/lib/gantry-registry';
const PORT_MAX = 65_535;

export const FLAGS: readonly Flag[] = [
  {
    name: 'addr',
    kind: 'text',
    value: 'HOST:PORT',
    help: `where to listen; ":5000" is every address (${DEFAULT_ADDRESS})`,
  },
  { name: 'data', kind: 'text', value: 'DIR', help: `where blobs and names are kept (${DEFAULT_DATA})` },
  {
    name: 'tls',
    kind: 'text',
    value: 'CERT,KEY',
    help: 'PEM files of a certificate with its chain, and of its key',
  },
  {
    name: 'auth',
    kind: 'text',
    value: 'FILE',
    help: 'password file with bcrypt hashes, as `htpasswd -B` writes it',
  },
  { name: 'readonly', kind: 'switch', help: 'nobody pushes or deletes' },
  {
    name: 'proxy',
    kind: 'text',
    value: 'REGISTRY',
    help: 'be a cache of this registry: docker.io, https://HOST, http://HOST',
  },
  {
    name: 'proxy-auth',
    kind: 'text',
    value: 'FILE',
    help: 'who the cache is there: "user:password" in a file of mode 0600',
  },
  {
    name: 'cache-size',
    kind: 'text',
    value: 'SIZE',
    help: 'what the cache may keep, as in 800m, 50g, 2t (50g)',
  },
  { name: 'log-level', kind: 'text', value: 'LEVEL', help: 'debug, info, warn or error (info)' },
  { name: 'version', short: 'v', kind: 'switch', help: 'print the version' },
  { name: 'help', short: 'h', kind: 'switch', help: 'print this text' },
];

export interface TlsPaths {
  readonly cert: string;
  readonly key: string;
}

export interface ServeOptions {
  readonly address: { readonly host: string | undefined; readonly port: number };
  readonly data: string;
  readonly tls: TlsPaths | null;
  readonly passwordFile: string | null;
  readonly isReadonly: boolean;
  readonly proxy: string | null;
  readonly proxyAuthFile: string | null;
  readonly cacheBytes: number;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
}

/** `HOST:PORT`, `:PORT`, `[::1]:PORT`. Errors: usage. */
function addressOf(text: string): ServeOptions['address'] {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:[\]]*):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match === null || port > PORT_MAX) throw new UsageError(`--addr ${text}: not HOST:PORT`);
  const host = (match[1] ?? '').replace(/^\[|\]$/g, '');
  if (match[1]?.startsWith('[') === true && isIP(host) !== 6)
    throw new UsageError(`--addr ${text}: not HOST:PORT`);
  return { host: host === '' ? undefined : host, port };
}

function tlsOf(text: string | undefined): TlsPaths | null {
  if (text === undefined) return null;
  const [cert = '', key = '', ...more] = text.split(',');
  if (cert === '' || key === '' || more.length > 0)
    throw new UsageError('--tls takes CERT,KEY: two PEM files');
  return { cert, key };
}

function levelOf(text: string): ServeOptions['logLevel'] {
  if (text === 'debug' || text === 'info' || text === 'warn' || text === 'error') return text;
  throw new UsageError(`--log-level ${text}: debug, info, warn or error`);
}

const UNITS = ['', 'k', 'm', 'g', 't'];

function sizeOf(text: string): number {
  const [, digits = '', unit = ''] = /^(\d{1,15})([kmgt]?)b?$/i.exec(text) ?? [];
  const bytes = Number(digits) * 1024 ** UNITS.indexOf(unit.toLowerCase());
  if (digits === '' || bytes === 0 || !Number.isSafeInteger(bytes))
    throw new UsageError(`--cache-size ${text}: not a size such as 50g`);
  return bytes;
}

/** Errors: `UsageError`. */
export function serveOptions(flags: FlagValues): ServeOptions {
  const size = flags.text('cache-size');
  for (const name of ['proxy-auth', 'cache-size'])
    if (flags.has(name) && !flags.has('proxy')) throw new UsageError(`--${name} goes with --proxy`);
  return {
    address: addressOf(flags.text('addr') ?? DEFAULT_ADDRESS),
    data: resolve(flags.text('data') ?? DEFAULT_DATA),
    tls: tlsOf(flags.text('tls')),
    passwordFile: flags.text('auth')?.replace(/^htpasswd:/, '') ?? null,
    isReadonly: flags.on('readonly'),
    proxy: flags.text('proxy') ?? null,
    proxyAuthFile: flags.text('proxy-auth') ?? null,
    cacheBytes: size === undefined ? LIMITS.registryCacheBytes : sizeOf(size),
    logLevel: levelOf(flags.text('log-level') ?? 'info'),
  };
}

/** `serve` may stand in front, as in `gantry registry serve`. Errors: `UsageError`. */
export function parseCommandLine(argv: readonly string[]): FlagValues {
  const { flags, words } = parseFlags(FLAGS, argv);
  const rest = words[0] === 'serve' ? words.slice(1) : words;
  if (rest.length > 0) throw new UsageError(`what is "${rest[0] ?? ''}"? there are only options`);
  return flags;
}

/** Errors: `invalidArgument` with the file's name. */
export async function readGiven(path: string, what: string): Promise<Buffer> {
  return readFile(path).catch((error: unknown) => {
    const why = error instanceof Error ? error.message : String(error);
    throw new EngineError('invalidArgument', `${what}: ${why}`, { cause: error });
  });
}

export function helpText(): string {
  const heads = FLAGS.map(({ name, short, value }) => {
    return `--${name}${value === undefined ? '' : ` ${value}`}${short === undefined ? '' : `, -${short}`}`;
  });
  const width = Math.max(...heads.map((head) => head.length)) + 2;
  const lines = FLAGS.map(({ help }, index) => `   ${(heads[index] ?? '').padEnd(width)}${help}\n`);
  return [
    'gantry-registry: a registry of container images\n',
    '\nUsage: gantry-registry [OPTION...]   (gantry registry serve [OPTION...])\n',
    `\nOptions:\n${lines.join('')}`,
    '\nSIGHUP reads the certificate and the files with passwords again. SIGTERM ends it.\n',
  ].join('');
}
