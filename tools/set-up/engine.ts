import { spawn } from 'node:child_process';
import { closeSync, createReadStream, mkdirSync, openSync, readFileSync } from 'node:fs';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ROOT } from '../paths.ts';

const START_LIMIT_MS = 20_000;
const CALL_LIMIT_MS = 60_000;

export interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

export interface Call {
  readonly method?: 'GET' | 'POST' | 'DELETE';
  readonly json?: unknown;
  /** A file that becomes the body. */
  readonly file?: string;
  readonly timeLimitMs?: number;
}

function sendBody(sending: ClientRequest, call: Call): void {
  if (call.file !== undefined) createReadStream(call.file).pipe(sending);
  else sending.end(call.json === undefined ? undefined : JSON.stringify(call.json));
}

async function readBody(answer: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** A daemon reached by its socket: set-up needs neither a client of ours nor the docker CLI. */
export class Engine {
  readonly socket: string;

  constructor(socket: string) {
    this.socket = socket;
  }

  call(path: string, call: Call = {}): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const type = call.file === undefined ? 'application/json' : 'application/x-tar';
      const sending = request(
        { socketPath: this.socket, path, method: call.method ?? 'GET', headers: { 'content-type': type } },
        (answer) => {
          readBody(answer).then((body) => resolve({ status: answer.statusCode ?? 0, body }), reject);
        },
      );
      sending.setTimeout(call.timeLimitMs ?? CALL_LIMIT_MS, () =>
        sending.destroy(new Error(`no answer to ${path}`)),
      );
      sending.on('error', reject);
      sendBody(sending, call);
    });
  }

  /** A call that has to succeed. */
  async must(path: string, call: Call = {}): Promise<Buffer> {
    const { status, body } = await this.call(path, call);
    if (status >= 400 || status === 0)
      throw new Error(`${call.method ?? 'GET'} ${path}: ${status} ${body.toString().trim()}`);
    return body;
  }

  async answers(): Promise<boolean> {
    const answer = await this.call('/_ping', { timeLimitMs: 5000 }).catch(() => undefined);
    return answer?.status === 200;
  }
}

export interface DaemonCommand {
  readonly args: readonly string[];
  readonly logFile: string;
}

/** Starts the daemon in a session of its own and waits for its first answer. */
export async function startDaemon(engine: Engine, { args, logFile }: DaemonCommand): Promise<void> {
  mkdirSync(dirname(logFile), { recursive: true });
  const log = openSync(logFile, 'a');
  const child = spawn(join(ROOT, 'bin/gantryd'), args, {
    cwd: '/',
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  child.unref();
  const deadline = Date.now() + START_LIMIT_MS;
  while (!(await engine.answers())) {
    if (child.exitCode !== null || child.signalCode !== null || Date.now() > deadline) {
      const end = readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-15).join('\n');
      throw new Error(`gantryd did not start; the end of ${logFile}:\n${end}`);
    }
    await sleep(20);
  }
}

/**
 * Takes the standard output and error out of the frames (8 bytes: stream, 3 × 0, length) of a log without a
 * terminal.
 */
export function unframe(log: Buffer): string {
  let text = '';
  for (let at = 0; at + 8 <= log.length; ) {
    const end = at + 8 + log.readUInt32BE(at + 4);
    text += log.toString('utf8', at + 8, end);
    at = end;
  }
  return text;
}
