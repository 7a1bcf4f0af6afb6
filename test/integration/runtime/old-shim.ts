/**
 * A shim of protocol version 1: says the bytes that a true one said (test/reference/shim-v1.json), with the
 * numbers of its own processes in the places of the recorded ones. `old-shim.ts running` in a task directory
 * has a container already, whose process ends with 7 on SIGTERM; `old-shim.ts new` waits for START on
 * descriptor 3. The requests that it got stand in the file `requests`, one line of JSON each.
 */
import { spawn } from 'node:child_process';
import { appendFileSync, readFileSync, rmSync, renameSync, writeFileSync } from 'node:fs';
import { createServer, Socket } from 'node:net';
import { Fields, FIELD, FRAME, FrameDecoder, type Frame } from '../../../src/runtime/shim/protocol.ts';

const RECORDED = JSON.parse(
  readFileSync(new URL('../../reference/shim-v1.json', import.meta.url), 'utf8'),
) as { files: Record<string, string>; frames: Record<string, string[]> };
/** Of the shim and of the container's process, in the recording. */
const RECORDED_PIDS = [28785, 28788];
const CONTAINER = 'trap "exit 7" TERM; while :; do sleep 0.05; done';

interface Identity {
  readonly pid: number;
  readonly startTime: string;
}

function identityOf(pid: number): Identity {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return { pid, startTime: stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '' };
}

const shim = identityOf(process.pid);
const controls = new Set<Socket>();
const attached: { readonly socket: Socket; readonly execId: string }[] = [];
let init: Identity | null = null;
let hasEnded = false;

/** The recorded frame, told of the processes of now, as an answer to the request with this tag. */
function adapted(hex: string, tag: number): Buffer {
  const frame = Buffer.from(hex, 'hex');
  frame.writeUInt16LE(tag, 6);
  let of: Identity | null = null;
  for (let at = 8; frame[4] !== FRAME.stdout && frame[4] !== FRAME.stderr && at < frame.length; ) {
    const field = frame.readUInt16LE(at);
    if (field === FIELD.pid) {
      of = [shim, init][RECORDED_PIDS.indexOf(Number(frame.readBigUInt64LE(at + 8)))] ?? null;
      if (of !== null) frame.writeBigUInt64LE(BigInt(of.pid), at + 8);
    }
    if (field === FIELD.startTime && of !== null) frame.writeBigUInt64LE(BigInt(of.startTime), at + 8);
    at += 8 + frame.readUInt32LE(at + 4);
  }
  return frame;
}

function say(socket: Socket, name: string, tag = 0): void {
  for (const hex of RECORDED.frames[name] ?? []) socket.write(adapted(hex, tag));
}

function writeFile(name: string, change: object): void {
  const text = JSON.stringify({ ...(JSON.parse(RECORDED.files[name] ?? '') as object), ...change });
  writeFileSync(`${name}.tmp`, `${text}\n`);
  renameSync(`${name}.tmp`, name);
}

function leave(): void {
  for (const name of ['shim.sock', 'shim.pid']) rmSync(name, { force: true });
  process.exit(0);
}

function leaveIfAlone(): void {
  if (controls.size === 0 && (init === null || hasEnded)) leave();
}

/** Version 1 closes without waiting for its client. */
function endClients(execId: string, output: string): void {
  for (const client of attached.filter((each) => each.execId === execId)) {
    say(client.socket, output);
    client.socket.end();
  }
}

function answerExec(socket: Socket, fields: Fields, tag: number): void {
  if (fields.has(FIELD.plan)) return say(socket, 'execWithPlan', tag);
  say(socket, 'execStarted', tag);
  endClients(fields.text(FIELD.execId), 'execOutput');
  appendFileSync('execs', RECORDED.files['execs'] ?? '');
  for (const control of controls) say(control, 'execEnded');
}

function answer(socket: Socket, { type, tag, payload }: Frame): void {
  const fields = new Fields(type === FRAME.stdin ? Buffer.alloc(0) : payload);
  appendFileSync('requests', `${JSON.stringify({ type, payload: payload.toString('hex') })}\n`);
  if (type === FRAME.control || type === FRAME.status) {
    controls.add(socket);
    say(socket, init === null ? 'helloOfNew' : 'helloOfRunning', tag);
  } else if (type === FRAME.attach) {
    attached.push({ socket, execId: fields.text(FIELD.execId) });
    say(socket, 'attached', tag);
  } else if (!controls.has(socket)) {
    if (type !== FRAME.stdin && type !== FRAME.stdinEof) socket.destroy();
  } else if (type === FRAME.start) {
    say(socket, 'startWithPlan', tag);
  } else if (type === FRAME.exec) {
    answerExec(socket, fields, tag);
  } else if (type === FRAME.release) {
    say(socket, init === null || hasEnded ? 'released' : 'releaseOfRunning', tag);
    if (init === null || hasEnded) socket.end(leave);
  } else {
    say(socket, 'unknownRequest', tag);
  }
}

function serve(socket: Socket): void {
  const decoder = new FrameDecoder();
  socket.on('data', (chunk: Buffer) => {
    for (const frame of decoder.push(chunk)) answer(socket, frame);
  });
  socket.on('error', () => undefined);
  socket.on('close', () => {
    controls.delete(socket);
    leaveIfAlone();
  });
}

function startContainer(): void {
  const child = spawn('/bin/sh', ['-c', CONTAINER], { stdio: 'ignore' });
  init = identityOf(child.pid ?? 0);
  writeFile('init', init);
  child.once('exit', (code) => {
    hasEnded = true;
    writeFile('exit', { pid: init?.pid, exitCode: code ?? 137, signal: code === null ? 9 : 0 });
    endClients('', 'output');
    for (const control of controls) say(control, 'ended');
    leaveIfAlone();
  });
}

if (process.argv[2] === 'running') startContainer();
else serve(new Socket({ fd: 3, readable: true, writable: true }));
createServer(serve).listen('shim.sock', () => {
  writeFile('shim.pid', shim);
  process.stdout.write('ready\n');
});
