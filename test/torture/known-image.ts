import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import type { TarEntry } from '../../tools/set-up/tar.ts';
import { run } from '../support/command.ts';
import type { TestDaemon } from '../support/daemon.ts';
import { dockerArchive } from '../support/images.ts';

/* Images whose content is known, so that whoever kept them can be asked whether they are whole. */

/** The file /data, or those of the folder, one after the other. */
const FILES = 'if [ -d /data ]; then /bin/busybox cat /data/*; else /bin/busybox cat /data; fi';
const SUM = ['/bin/busybox', 'sh', '-c', `(${FILES}) | /bin/busybox sha256sum`];

/** The same in every image: what one leaves behind or takes away, another one misses. */
export function sharedLayer(): TarEntry[] {
  return [
    { path: 'bin/', type: 'directory' },
    { path: 'bin/busybox', content: readFileSync('/bin/busybox'), mode: 0o755 },
    ...['sh', 'cat', 'sha256sum', 'true', 'sleep', 'cp'].map((name) => ({
      path: `bin/${name}`,
      type: 'symlink' as const,
      target: 'busybox',
    })),
  ];
}

export interface KnownLayer {
  readonly entries: readonly TarEntry[];
  /** What `SUM` prints. */
  readonly hash: string;
}

/** Files of bytes that no compression makes smaller. */
export function dataLayer(files: number, fileBytes: number): KnownLayer {
  const hash = createHash('sha256');
  const entries: TarEntry[] = [{ path: 'data/', type: 'directory' }];
  for (let i = 0; i < files; i++) {
    const content = randomBytes(fileBytes);
    hash.update(content);
    entries.push({ path: `data/${String(i).padStart(5, '0')}`, content });
  }
  return { entries, hash: hash.digest('hex') };
}

export interface KnownImage {
  readonly reference: string;
  readonly archive: Buffer;
  /** All files of it: a root file system. */
  readonly tree: readonly TarEntry[];
  readonly hash: string;
}

export function knownImage(reference: string, files: number, fileBytes: number): KnownImage {
  const { entries, hash } = dataLayer(files, fileBytes);
  const layers = [sharedLayer(), entries];
  const { archive } = dockerArchive({ reference, layers, config: { Cmd: ['true'] } });
  return { reference, archive, tree: layers.flat(), hash };
}

export interface Sending {
  readonly bytesPerSecond?: number;
}

interface Sent extends Sending {
  readonly path: string;
  readonly body: Buffer;
}

const PIECE_BYTES = 64 * 1024;

/** Sends a body, at a rate when one is asked for; false when the daemon refuses it or goes away. */
export function sendBody(daemon: TestDaemon, { path, body, bytesPerSecond }: Sent): Promise<boolean> {
  return new Promise((resolve) => {
    const headers = { host: 'docker', 'content-type': 'application/x-tar', 'content-length': body.length };
    const outgoing = request({ socketPath: daemon.socket, method: 'POST', path, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', () => resolve(false));
      response.on('close', () => resolve(false));
      const isGood = (): boolean =>
        response.complete && (response.statusCode ?? 500) < 300 && !Buffer.concat(chunks).includes('"error"');
      response.on('end', () => resolve(isGood()));
    });
    outgoing.on('error', () => resolve(false));
    if (bytesPerSecond === undefined) return void outgoing.end(body);
    const rate = bytesPerSecond;
    const pour = async (): Promise<void> => {
      const began = performance.now();
      for (let at = 0; at < body.length && !outgoing.destroyed; at += PIECE_BYTES) {
        outgoing.write(body.subarray(at, at + PIECE_BYTES));
        const aheadMs = (at / rate) * 1000 - (performance.now() - began);
        if (aheadMs > 1) await pause(aheadMs);
      }
      outgoing.end();
    };
    void pour();
  });
}

export async function load(daemon: TestDaemon, image: KnownImage, how: Sending = {}): Promise<boolean> {
  return await sendBody(daemon, { path: '/images/load?quiet=1', body: image.archive, ...how });
}

export async function listedIds(daemon: TestDaemon): Promise<{ Id: string; RepoTags: string[] | null }[]> {
  return (await daemon.api('/images/json?all=1')).json as { Id: string; RepoTags: string[] | null }[];
}

export async function listed(daemon: TestDaemon): Promise<string[]> {
  return (await listedIds(daemon)).flatMap(({ Id, RepoTags }) =>
    RepoTags === null || RepoTags.length === 0 ? [Id] : RepoTags,
  );
}

/** D1: runs the image; its files are what was put in. Null when they are. */
export async function problemOf(daemon: TestDaemon, reference: string, hash: string): Promise<string | null> {
  const body = { Image: reference, Cmd: SUM };
  const made = await daemon.api('/containers/create', { method: 'POST', body });
  if (made.status !== 201) return `cannot be created: ${made.body.toString()}`;
  const { Id } = made.json as { Id: string };
  const started = await daemon.api(`/containers/${Id}/start`, { method: 'POST' });
  if (started.status !== 204) return `cannot be started: ${started.body.toString()}`;
  await daemon.api(`/containers/${Id}/wait`, { method: 'POST' });
  const logs = (await daemon.api(`/containers/${Id}/logs?stdout=1&stderr=1`)).body.toString('latin1');
  await daemon.api(`/containers/${Id}?force=1`, { method: 'DELETE' });
  return logs.includes(hash) ? null : `another content: ${logs.slice(8, 200)}`;
}

export async function remove(daemon: TestDaemon, reference: string): Promise<number> {
  const answer = await daemon
    .api(`/images/${reference}?force=1`, { method: 'DELETE' })
    .catch(() => undefined);
  return answer?.status ?? 0;
}

export async function usedKib(path: string): Promise<number> {
  const { stdout } = await run('du', ['-sk', path]);
  return Number(stdout.split('\t')[0]);
}
