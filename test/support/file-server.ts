import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { TestDaemon } from './daemon.ts';

/** A program that serves a file, its first argument, in the daemon's network; ready when it prints. */
export async function serveFile(
  daemon: TestDaemon,
  { program, file }: { readonly program: string; readonly file: string },
): Promise<AsyncDisposable> {
  const command = [`--net=/run/netns/${daemon.network}`, '--', process.execPath, '-e', program, file];
  const child = spawn('nsenter', command, { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return {
    [Symbol.asyncDispose]: async () => {
      const closed = once(child, 'close');
      child.kill('SIGKILL');
      await closed;
    },
  };
}
