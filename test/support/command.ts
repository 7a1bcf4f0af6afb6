import { spawn } from 'node:child_process';

export interface CommandResult {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Buffer;
  readonly timeoutMs?: number;
  readonly cwd?: string;
}

/** What every command of a test gets: nothing depends on the caller's environment. */
export const PLAIN_ENV: Readonly<Record<string, string>> = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LANG: 'C',
  TZ: 'UTC',
  DOCKER_CLI_HINTS: 'false',
  NO_COLOR: '1',
  TERM: 'dumb',
};

/** Runs a program to its end; a time-out kills its process group and shows as exit 124. */
export function run(
  file: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, [...args], {
      env: { ...PLAIN_ENV, ...options.env },
      cwd: options.cwd,
      detached: true,
      stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    }, options.timeoutMs ?? 60_000);
    child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => err.push(chunk));
    child.stdin?.on('error', () => undefined);
    if (options.input !== undefined) child.stdin?.end(options.input);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const stderr = Buffer.concat(err).toString() + (late ? '\n(test: killed, took too long)' : '');
      resolve({
        exit: late ? 124 : (code ?? 128 + (signal ? 1 : 0)),
        stdout: Buffer.concat(out).toString(),
        stderr,
      });
    });
  });
}

/** Runs a program that has to succeed; returns its standard output. */
export async function must(
  file: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const result = await run(file, args, options);
  if (result.exit !== 0)
    throw new Error(`${file} ${args.join(' ')}: exit ${result.exit}: ${result.stderr || result.stdout}`);
  return result.stdout;
}

export interface UntilOptions {
  readonly timeoutMs?: number;
  readonly what: string;
}

/** Asks again until the answer is not `undefined`; for facts of the kernel that send no event. */
export async function until<T>(
  question: () => Promise<T | undefined> | T | undefined,
  options: UntilOptions,
): Promise<T> {
  const deadline = Date.now() + (options.timeoutMs ?? 15_000);
  for (;;) {
    const answer = await question();
    if (answer !== undefined) return answer;
    if (Date.now() > deadline) throw new Error(`not in time: ${options.what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
