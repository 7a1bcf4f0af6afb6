/**
 * Drives the real shim binary for tests: spawns it in a task directory of its own, with a fake OCI runtime.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { createKernel } from '#host/real.ts';
import { FIELD, type FieldInput, FRAME, type Frame, intOf, ShimConnection } from './shim-connection.ts';

export const SHIM_BINARY =
  process.env['GANTRY_SHIM_BINARY'] ?? join(import.meta.dirname, '../../../dist/native/gantry-shim');
const END_LIMIT_MS = 5000;
const { sockets } = createKernel();

export interface Shim {
  readonly directory: string;
  readonly control: ShimConnection;
  readonly pid: number;
  connect(): Promise<ShimConnection>;
  attach(flags: number, execId?: string): Promise<ShimConnection>;
  /** The script is the container's process: a fake runtime runs it in the background. */
  start(script: string, more?: readonly FieldInput[]): Promise<Frame>;
  exec(id: string, script: string, more?: readonly FieldInput[]): Promise<Frame>;
  logText(): string;
  exitFile(): Record<string, unknown>;
}

export interface ShimOptions {
  /** The container's root. */
  readonly rootfs?: number;
  /** An existing task directory; the caller removes it. */
  readonly directory?: string;
}

/** Starts its process with the streams it was given, writes the pid file, and never waits (a shell would). */
const FAKE_RUNTIME = `my ($file, $script) = @ARGV; my $pid = fork; exec 'sh', '-c', $script if !$pid;
open my $out, '>', $file; print $out $pid; close $out;`;

export function fakeRuntime(pidFile: string, script: string): FieldInput[] {
  return [
    ...['perl', '-e', FAKE_RUNTIME, pidFile, script].map((word): FieldInput => [FIELD.argv, word]),
    [FIELD.pidFile, pidFile],
    [FIELD.runtimeLog, `${pidFile}.log`],
  ];
}

/**
 * The shim ends with the test, which fails if it stays, leaves its socket or complains (as sanitizers do).
 */
export async function startShim(t: TestContext, options: ShimOptions = {}): Promise<Shim> {
  const directory = options.directory ?? mkdtempSync(join(tmpdir(), 'gantry-shim-test-'));
  const complaints = openSync(join(directory, 'complaints'), 'a');
  const [gifts, theirs] = sockets.pair();
  const child = spawn(SHIM_BINARY, ['serve', 'unassigned'], {
    cwd: '/',
    env: {},
    stdio: ['ignore', complaints, complaints, 'pipe', 'ignore', 'ignore', theirs],
  });
  closeSync(theirs);
  const control = new ShimConnection(child.stdio[3] as Socket);
  t.after(async () => {
    try {
      await endShim(directory, control);
    } finally {
      if (!options.directory) rmSync(directory, { recursive: true, force: true });
    }
  });
  await once(child, 'exit');
  closeSync(complaints);
  const [hello] = await control.hello();
  const roots = options.rootfs === undefined ? [] : [options.rootfs];
  if (roots.length > 0) sockets.sendFds(gifts, roots);
  closeSync(gifts);
  await control.request(FRAME.assign, [
    [FIELD.id, 'test-container'],
    [FIELD.directory, directory],
    [FIELD.roots, roots.length],
  ]);
  const connectShim = async (): Promise<ShimConnection> => {
    const socket = connect(join(directory, 'shim.sock'));
    await once(socket, 'connect');
    return new ShimConnection(socket);
  };
  return {
    directory,
    control,
    pid: intOf(hello as Frame, FIELD.pid),
    connect: connectShim,
    async attach(flags, execId) {
      const connection = await connectShim();
      const name: FieldInput[] = execId ? [[FIELD.execId, execId]] : [];
      await connection.request(FRAME.attach, [...name, [FIELD.flags, flags]]);
      return connection;
    },
    start: (script, more = []) =>
      control.request(FRAME.start, [
        ...fakeRuntime('init.pid', script),
        [FIELD.logPath, join(directory, 'c-json.log')],
        ...more,
      ]),
    exec: (id, script, more = []) =>
      control.request(FRAME.exec, [[FIELD.execId, id], ...fakeRuntime(`${id}.pid`, script), ...more]),
    logText: () => readFileSync(join(directory, 'c-json.log'), 'utf8'),
    exitFile: () => JSON.parse(readFileSync(join(directory, 'exit'), 'utf8')) as Record<string, unknown>,
  };
}

export function isAlive(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** Polls what has no event for this process. */
export async function until(condition: () => boolean, limitMs = END_LIMIT_MS): Promise<boolean> {
  const end = Date.now() + limitMs;
  while (!condition() && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 10));
  return condition();
}

function numberIn(path: string, pattern: RegExp): number {
  return existsSync(path) ? Number(pattern.exec(readFileSync(path, 'utf8'))?.[1] ?? 0) : 0;
}

function killIfAlive(pid: number): void {
  try {
    if (pid > 1 && isAlive(pid)) process.kill(pid, 'SIGKILL');
  } catch (error) {
    // It has ended in between.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function endShim(directory: string, control: ShimConnection): Promise<void> {
  // shim.pid is gone once the shim has ended by itself; what it started is in the pid files.
  const pid = numberIn(join(directory, 'shim.pid'), /"pid":(\d+)/);
  for (const name of readdirSync(directory).filter((each) => each.endsWith('.pid') && each !== 'shim.pid'))
    killIfAlive(numberIn(join(directory, name), /^(\d+)/));
  // Without an OCI runtime there is no pid file.
  killIfAlive(numberIn(join(directory, 'init'), /"pid":(\d+)/));
  control.socket.destroy();
  const ended = pid === 0 || (await until(() => !isAlive(pid)));
  if (!ended) process.kill(pid, 'SIGKILL');
  const complaints = ['complaints', 'shim.log']
    .map((name) => readFileSync(join(directory, name), 'utf8'))
    .join('');
  if (!ended) throw new Error(`the shim did not end: ${complaints}`);
  if (complaints !== '') throw new Error(`the shim complained: ${complaints}`);
}

export function logLines(text: string): { log: string; stream: string; time: string }[] {
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as { log: string; stream: string; time: string });
}
