/** `gantry-registry`: a registry of images, with the engine's content store. */
import { mkdir, open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { syncDirectory } from '#base/durable-record.ts';
import { EngineError, errorCode, errorMessage } from '#base/errors.ts';
import { createLog, type Log } from '#base/log.ts';
import { createProgramKernel } from '#host/program.ts';
import type { Credentials } from '#registry/credentials.ts';
import { HtpasswdAccess, parseHtpasswd } from '#registry/htpasswd.ts';
import { createRegistryServer } from '#registry/server.ts';
import { openContentStore } from '#storage/open-content.ts';
import { UsageError } from './oci/flags.ts';
import { VERSION } from './oci/version.ts';
import { FileBlobs } from './registry/file-blobs.ts';
import { helpText, parseCommandLine, readGiven, serveOptions, type ServeOptions } from './registry/flags.ts';
import { listen } from './registry/listen.ts';
import { readProxyAuth } from './registry/proxy-auth.ts';
import { openUpstream, type Upstream } from './registry/upstream.ts';

const USAGE_EXIT = 2;
const COLLECT_EVERY_MS = 600_000;
const LOCK_WAIT_MS = 2000;
const CLOSE_WAIT_MS = 10_000;

/** One server per data directory. The lock is given back when the process ends. */
async function lockData(data: string): Promise<FileHandle> {
  await mkdir(data, { recursive: true, mode: 0o700 });
  const file = await open(join(data, 'lock'), 'a', 0o600);
  const locked = createProgramKernel().locks.take(file.fd);
  const waited = new Promise<never>((_resolve, reject) => {
    const inUse = new EngineError('conflict', `${data} is in use by another gantry-registry`);
    setTimeout(() => reject(inUse), LOCK_WAIT_MS).unref();
  });
  await Promise.race([locked, waited]);
  return file;
}

/** A blob is as durable as the folders that lead to it; that of the data itself is flushed with the index. */
async function keepFolders(data: string): Promise<void> {
  for (const folder of ['content/blobs', 'content']) await syncDirectory(join(data, folder));
  // Who may not read the folder above was given the data folder by somebody else, who kept it.
  await syncDirectory(join(data, '..')).catch((error: unknown) => {
    if (errorCode(error) !== 'EACCES') throw error;
  });
}

async function accessOf({ passwordFile }: ServeOptions): Promise<HtpasswdAccess | null> {
  return passwordFile === null ? null : new HtpasswdAccess(await usersIn(passwordFile));
}

async function usersIn(passwordFile: string): Promise<ReturnType<typeof parseHtpasswd>> {
  return parseHtpasswd((await readGiven(passwordFile, 'password file')).toString('utf8'));
}

function logOf({ logLevel }: ServeOptions): Log {
  const format = process.stderr.isTTY ? 'pretty' : 'json';
  return createLog({ level: logLevel, format, write: (line) => void process.stderr.write(line) });
}

interface Cached {
  readonly upstream: Upstream | null;
  reload(): Promise<void>;
}

async function upstreamOf({ proxy, proxyAuthFile }: ServeOptions, log: Log): Promise<Cached> {
  if (proxy === null) return { upstream: null, reload: () => Promise.resolve() };
  const read = (): Promise<Credentials | null> =>
    proxyAuthFile === null ? Promise.resolve(null) : readProxyAuth(proxyAuthFile);
  let credentials = await read();
  if (credentials !== null && proxy.startsWith('http://'))
    log.warn('the password for the upstream registry goes there unencrypted', { proxy });
  return {
    upstream: openUpstream({ address: proxy, log, credentials: () => credentials }),
    reload: async () => {
      credentials = await read();
    },
  };
}

/** What somebody should know who reaches further than this machine. */
function warn(options: ServeOptions, address: string, log: Log): void {
  if (options.passwordFile !== null || /^(127\.|\[::1\])/.test(address)) return;
  if (options.proxyAuthFile !== null)
    log.warn('everybody who reaches this address gets what the cache may fetch: see --auth');
  else if (options.proxy === null && !options.isReadonly)
    log.warn('everybody who reaches this address may push: see --auth');
}

async function serve(options: ServeOptions): Promise<void> {
  const log = logOf(options);
  const access = await accessOf(options);
  const { upstream, reload: reloadUpstream } = await upstreamOf(options, log);
  const lock = await lockData(options.data);
  const content = await openContentStore(join(options.data, 'content'));
  const blobs = await FileBlobs.open(content, join(options.data, 'uploads'));
  await keepFolders(options.data);
  const registry = await createRegistryServer({
    blobs,
    directory: options.data,
    access,
    isReadonly: options.isReadonly,
    upstream: upstream?.repository ?? null,
    cacheBytes: options.cacheBytes,
    log,
  });
  const listener = await listen({ address: options.address, tls: options.tls, handle: registry.handle });
  warn(options, listener.address, log);
  log.info('serving', { address: listener.address, data: options.data, tls: options.tls !== null });
  const reload = async (): Promise<void> => {
    if (options.passwordFile !== null) access?.replace(await usersIn(options.passwordFile));
    await reloadUpstream();
    await listener.reload();
    log.info('certificate and password files are read again');
  };
  process.on('SIGHUP', () => {
    reload().catch((error: unknown) =>
      log.error('what was read before stays', { error: errorMessage(error) }),
    );
  });
  const collecting = setInterval(() => {
    registry
      .collect()
      .catch((error: unknown) => log.error('collecting failed', { error: errorMessage(error) }));
  }, COLLECT_EVERY_MS);
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
  });
  clearInterval(collecting);
  upstream?.close();
  await listener.close(CLOSE_WAIT_MS);
  await registry.close();
  await lock.close();
}

async function main(argv: readonly string[]): Promise<number> {
  try {
    const flags = parseCommandLine(argv);
    if (flags.on('help')) process.stdout.write(helpText());
    else if (flags.on('version')) process.stdout.write(`gantry-registry version ${VERSION}\n`);
    else await serve(serveOptions(flags));
    return 0;
  } catch (error) {
    const hint = error instanceof EngineError && error.hint !== undefined ? `\n${error.hint}` : '';
    process.stderr.write(`gantry-registry: ${errorMessage(error)}${hint}\n`);
    if (!(error instanceof UsageError)) return 1;
    process.stderr.write("See 'gantry-registry --help'.\n");
    return USAGE_EXIT;
  }
}

void main(process.argv.slice(2)).then((code) => process.exit(code));
