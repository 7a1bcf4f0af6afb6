import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { Server } from 'node:http';
import type { ServerOptions as TlsOptions } from 'node:https';
import { EngineError } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import type { Kernel } from '#host/kernel.ts';
import type { DaemonConfig, TlsConfig } from './config.ts';
import { parseListenAddress } from './server/listen-address.ts';
import { groupId, listenFd, listenTcp, listenUnix, type ListenAddress } from './server/listen.ts';
import type { ApiServer } from './server/server.ts';

export interface Listeners {
  /** Takes no new connections, closes idle ones, removes the sockets. */
  close(): Promise<void>;
}

export interface ListenersOptions {
  readonly config: Pick<DaemonConfig, 'hosts' | 'group' | 'tls'>;
  readonly server: ApiServer;
  readonly kernel: Pick<Kernel, 'sockets'>;
  readonly log: Log;
}

function tlsOptions(tls: TlsConfig): TlsOptions {
  return {
    cert: readFileSync(tls.certPath),
    key: readFileSync(tls.keyPath),
    minVersion: 'TLSv1.2',
    ...(tls.caPath !== '' && { ca: readFileSync(tls.caPath) }),
    ...(tls.verify && { requestCert: true, rejectUnauthorized: true }),
  };
}

/** Our own group, else the reference's, else root's; a group that was asked for must exist. */
async function socketGroup(group: string | null): Promise<number> {
  if (group === '') return 0;
  if (group !== null) {
    const gid = await groupId(group);
    if (gid === null) throw new EngineError('invalidArgument', `group ${group} not found`);
    return gid;
  }
  return (await groupId('gantry')) ?? (await groupId('docker')) ?? 0;
}

/** Opens every `-H`. Nothing stays open when one fails. */
export async function openListeners(options: ListenersOptions): Promise<Listeners> {
  const { config, server, kernel, log } = options;
  const servers: Server[] = [];
  const paths: string[] = [];
  const close = async (): Promise<void> => {
    for (const one of servers) {
      one.close();
      one.closeIdleConnections();
    }
    for (const path of paths) await rm(path, { force: true });
  };
  const open = async (address: ListenAddress): Promise<void> => {
    if (address.kind === 'unix') {
      const listener = server.createListener('unix');
      await listenUnix(listener, address.path, await socketGroup(config.group));
      servers.push(listener);
      paths.push(address.path);
      log.info('API listen on', { host: `unix://${address.path}` });
    } else if (address.kind === 'tcp') {
      const { tls } = config;
      if (tls === null) warnPlainTcp(address, log);
      const listener =
        tls === null ? server.createListener('tcp') : server.createListener('tls', tlsOptions(tls));
      await listenTcp(listener, address);
      servers.push(listener);
      log.info('API listen on', { host: `tcp://${address.host}:${address.port}`, tls: tls !== null });
    } else {
      for (const fd of inheritedSockets(kernel, address.name)) {
        const listener = server.createListener('unix');
        await listenFd(listener, fd);
        servers.push(listener);
        log.info('API listen on', { host: `fd://${fd}` });
      }
    }
  };
  try {
    for (const host of config.hosts) await open(parseListenAddress(host, config.tls !== null));
  } catch (error) {
    await close();
    throw error;
  }
  return { close };
}

function inheritedSockets(kernel: Pick<Kernel, 'sockets'>, name: string): readonly number[] {
  const all = kernel.sockets.inherited();
  if (all.length === 0)
    throw new EngineError(
      'invalidArgument',
      'no sockets found: fd:// needs socket activation by a service manager',
    );
  if (name === '' || name === '*') return all;
  const wanted = Number(name);
  if (!all.includes(wanted))
    throw new EngineError(
      'invalidArgument',
      `failed to find systemd activated sockets: no descriptor ${name}`,
    );
  return [wanted];
}

function warnPlainTcp(address: { readonly host: string; readonly port: number }, log: Log): void {
  log.warn('binding to a TCP port without --tlsverify gives root on this host to whoever reaches it', {
    host: `${address.host}:${address.port}`,
  });
}
