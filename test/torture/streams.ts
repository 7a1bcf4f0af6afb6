import { createHash, randomBytes, type Hash } from 'node:crypto';
import { createReadStream, createWriteStream, readFileSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { FrameDecoder } from '#api/multiplex.ts';
import { startDaemon, type TestDaemon } from '../support/daemon.ts';
import { dockerEntries, type LayerBlob } from '../../tools/set-up/image-archive.ts';
import { writeTar } from '../../tools/set-up/tar.ts';
import { peakBytes } from '../fuzz/raw-http.ts';
import type { Violation } from './rules.ts';

export interface StreamOptions {
  readonly gigabytes: number;
  readonly archive: string;
  readonly image: string;
  readonly report?: (line: string) => void;
}

const GB = 1e9;
const MIB = 1024 * 1024;
/** P2: what one stream may cost the daemon, whatever its length. */
const GROWTH_BYTES = 96 * MIB;
const SHIM_BYTES = 24 * MIB;
const ROTATED_MIB = 40;

/** Numbered lines of text, so that a line that is lost, repeated or moved changes the hash. */
async function* numberedLines(bytes: number): AsyncGenerator<Buffer> {
  const pad = randomBytes(45).toString('base64');
  let line = 0;
  for (let made = 0; made < bytes; ) {
    let text = '';
    for (let i = 0; i < 4096; i++) text += `${line++} ${pad}\n`;
    const chunk = Buffer.from(text);
    made += chunk.length;
    yield chunk;
  }
}

async function hashOfFile(path: string, start = 0): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { start, highWaterMark: MIB }))
    hash.update(chunk as Buffer);
  return hash.digest('hex');
}

class Streams {
  readonly #daemon: TestDaemon;
  readonly #options: StreamOptions;
  readonly #file: string;
  readonly violations: Violation[] = [];

  constructor(daemon: TestDaemon, options: StreamOptions) {
    this.#daemon = daemon;
    this.#options = options;
    this.#file = `${daemon.root}/lines`;
  }

  async prepare(): Promise<void> {
    await pipeline(numberedLines(this.#options.gigabytes * GB), createWriteStream(this.#file));
  }

  /** Runs one check and holds the daemon's memory and time against it. */
  async measured(name: string, check: () => Promise<void>): Promise<void> {
    const before = peakBytes(this.#daemon.pid);
    const started = performance.now();
    const known = this.violations.length;
    await check().catch((error: unknown) => this.#say('L1', `${name}: ${String(error)}`));
    const grown = peakBytes(this.#daemon.pid) - before;
    if (grown > GROWTH_BYTES) this.#say('P2', `${name}: the daemon grew by ${Math.round(grown / MIB)} MiB`);
    const seconds = (performance.now() - started) / 1000;
    const speed = Math.round((this.#options.gigabytes * 1000) / seconds);
    this.#options.report?.(
      `${name}: ${seconds.toFixed(1)} s, ${speed} MB/s, peak +${Math.round(grown / MIB)} MiB, ${this.violations.length - known} violations`,
    );
  }

  /** `run img cat` into a reader that first does not read at all and then slowly; then its whole log. */
  async slowAttach(): Promise<void> {
    const id = await this.#create(['cat', '/lines'], { Binds: [`${this.#file}:/lines:ro`] });
    const socket = await this.#attach(id, 'stdout=1&stderr=1');
    await this.#post(`/containers/${id}/start`);
    const shim = await this.#shimOf(id);
    await new Promise((resolve) => setTimeout(resolve, 3000));
    const hash = createHash('sha256');
    const size = await readFrames(socket, hash, async (total) => {
      if (total < 16 * MIB) await new Promise((resolve) => setTimeout(resolve, 2));
    });
    const peak = shim === null ? 0 : peakBytes(shim);
    if (peak > SHIM_BYTES) this.#say('P2', `attach: the shim had ${Math.round(peak / MIB)} MiB`);
    this.#compare('attach', hash.digest('hex'), size);
    const log = createHash('sha256');
    const logged = await this.#readLogs(id, log);
    this.#compare('logs', log.digest('hex'), logged);
    await this.#remove(id);
  }

  /** A log that is rotated holds the last part of what was written, whole. */
  async rotatedLog(): Promise<void> {
    const options = { 'max-size': `${ROTATED_MIB}m`, 'max-file': '3' };
    const more = { Binds: [`${this.#file}:/lines:ro`], LogConfig: { Type: 'json-file', Config: options } };
    const id = await this.#create(['cat', '/lines'], more);
    await this.#post(`/containers/${id}/start`);
    await this.#post(`/containers/${id}/wait`);
    const hash = createHash('sha256');
    const size = await this.#readLogs(id, hash);
    const total = statSync(this.#file).size;
    if (size < ROTATED_MIB * MIB) this.#say('L1', `a rotated log gives ${size} bytes only`);
    if (size > total) this.#say('L1', `a rotated log gives ${size} bytes of ${total}`);
    else if (hash.digest('hex') !== (await hashOfFile(this.#file, total - size)))
      this.#say('L1', `the last ${size} bytes are not those that were written`);
    await this.#remove(id);
  }

  async input(): Promise<void> {
    const id = await this.#create(['sha256sum'], {}, { OpenStdin: true, StdinOnce: true, AttachStdin: true });
    const socket = await this.#attach(id, 'stdin=1&stdout=1&stderr=1');
    await this.#post(`/containers/${id}/start`);
    const answer = collect(socket);
    for await (const chunk of createReadStream(this.#file, { highWaterMark: MIB }))
      if (!socket.write(chunk as Buffer)) await new Promise((resolve) => socket.once('drain', resolve));
    socket.end();
    const text = await answer;
    if (!text.includes(await hashOfFile(this.#file))) this.#say('L1', `stdin: ${text.slice(0, 100)}`);
    await this.#remove(id);
  }

  /** An archive with one layer of that size. */
  async load(): Promise<void> {
    const layer = `${this.#daemon.root}/layer.tar`;
    await writeTar(layer, [
      { path: 'bin/', type: 'directory' },
      { path: 'bin/sha256sum', content: readFileSync('/bin/busybox'), mode: 0o755 },
      { path: 'lines', file: this.#file },
    ]);
    const digest = `sha256:${await hashOfFile(layer)}`;
    const blob: LayerBlob = {
      diffId: digest,
      digest,
      sizeBytes: statSync(layer).size,
      isGzip: false,
      body: { file: layer },
    };
    const archive = `${this.#daemon.root}/archive.tar`;
    const { entries } = dockerEntries({ reference: 'torture/big:latest', config: {}, layers: [blob] });
    await writeTar(archive, entries);
    await rm(layer);
    const answer = await this.#upload(archive);
    if (answer.includes('"error"')) this.#say('D1', `load: ${answer}`);
    await rm(archive);
    const id = await this.#create(['/bin/sha256sum', '/lines'], {}, { Image: 'torture/big' });
    await this.#post(`/containers/${id}/start`);
    await this.#post(`/containers/${id}/wait`);
    const logs = (await this.#daemon.api(`/containers/${id}/logs?stdout=1&stderr=1`)).body.toString('latin1');
    if (!logs.includes(await hashOfFile(this.#file))) this.#say('D1', `the loaded layer is another: ${logs}`);
    await this.#remove(id);
  }

  #upload(path: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const headers = { host: 'docker', 'content-type': 'application/x-tar' };
      const options = {
        socketPath: this.#daemon.socket,
        method: 'POST',
        path: '/images/load?quiet=1',
        headers,
      };
      const outgoing = request(options, (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString()));
        response.on('end', () => resolve(text));
      });
      outgoing.on('error', reject);
      createReadStream(path, { highWaterMark: MIB }).pipe(outgoing);
    });
  }

  async #create(cmd: readonly string[], host: object, more: object = {}): Promise<string> {
    const body = { Image: this.#options.image, Cmd: cmd, HostConfig: host, ...more };
    const made = await this.#daemon.api('/containers/create', { method: 'POST', body });
    if (made.status !== 201) throw new Error(made.body.toString());
    return (made.json as { Id: string }).Id;
  }

  async #post(path: string): Promise<void> {
    const answer = await this.#daemon.api(path, { method: 'POST', timeoutMs: 600_000 });
    if (answer.status >= 300) throw new Error(`${path}: ${answer.body.toString()}`);
  }

  async #remove(id: string): Promise<void> {
    await this.#daemon.api(`/containers/${id}?force=1`, { method: 'DELETE' });
  }

  /** The parent of the container's first process. */
  async #shimOf(id: string): Promise<number | null> {
    const { State } = (await this.#daemon.api(`/containers/${id}/json`)).json as { State: { Pid: number } };
    if (State.Pid === 0) return null;
    const stat = readFileSync(`/proc/${State.Pid}/stat`, 'latin1');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  }

  async #attach(id: string, streams: string): Promise<Socket> {
    const socket = connect({ path: this.#daemon.socket, allowHalfOpen: true });
    socket.on('error', () => undefined);
    const head = ['Host: x', 'Connection: Upgrade', 'Upgrade: tcp', 'Content-Length: 0', '', ''].join('\r\n');
    socket.write(`POST /containers/${id}/attach?stream=1&${streams} HTTP/1.1\r\n${head}`);
    const first = await new Promise<Buffer>((resolve) => socket.once('data', resolve));
    socket.pause();
    const end = first.indexOf('\r\n\r\n');
    if (!first.toString('latin1').startsWith('HTTP/1.1 101')) throw new Error(first.toString());
    if (end + 4 < first.length) socket.unshift(first.subarray(end + 4));
    return socket;
  }

  #readLogs(id: string, hash: Hash): Promise<number> {
    return new Promise((resolve, reject) => {
      const path = `/containers/${id}/logs?stdout=1&stderr=1`;
      const outgoing = request(
        { socketPath: this.#daemon.socket, path, headers: { host: 'x' } },
        (response) => {
          readFrames(response, hash).then(resolve, reject);
        },
      );
      outgoing.on('error', reject);
      outgoing.end();
    });
  }

  #compare(name: string, hash: string, size: number): void {
    const wanted = statSync(this.#file).size;
    if (size !== wanted) this.#say('L1', `${name}: ${size} bytes of ${wanted}`);
    else if (hash !== this.#wanted) this.#say('L1', `${name}: other bytes than were written`);
  }

  #wanted = '';

  async hashFile(): Promise<void> {
    this.#wanted = await hashOfFile(this.#file);
  }

  #say(rule: string, text: string): void {
    this.violations.push({ rule, text });
    this.#options.report?.(`  ${rule}: ${text}`);
  }
}

/** Hashes both streams' payload in the order it comes; returns its size. */
async function readFrames(
  source: AsyncIterable<Buffer>,
  hash: Hash,
  pace?: (total: number) => Promise<void>,
): Promise<number> {
  const decoder = new FrameDecoder();
  let total = 0;
  for await (const chunk of source) {
    for (const frame of decoder.decode(chunk)) {
      hash.update(frame.data);
      total += frame.data.length;
    }
    await pace?.(total);
  }
  return total;
}

async function collect(socket: Socket): Promise<string> {
  let text = '';
  for await (const chunk of socket) text += (chunk as Buffer).toString('latin1');
  return text;
}

/** Gigabytes through attach, logs, stdin and load: no byte is lost, and memory is bounded. */
export async function streamGigabytes(options: StreamOptions): Promise<{ violations: Violation[] }> {
  await using daemon = await startDaemon();
  await daemon.loadImage(options.archive);
  const streams = new Streams(daemon, options);
  await streams.prepare();
  await streams.hashFile();
  await streams.measured('attach with a slow reader, then the log', () => streams.slowAttach());
  await streams.measured('log with rotation', () => streams.rotatedLog());
  await streams.measured('stdin', () => streams.input());
  await streams.measured('load of one layer', () => streams.load());
  return { violations: streams.violations };
}
