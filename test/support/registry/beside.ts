import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { PLAIN_ENV } from '../command.ts';
import type { TestDaemon } from '../daemon.ts';

/** Node in the network namespace of a daemon, with a channel for messages. */
export function nodeBeside(daemon: TestDaemon, args: readonly string[]): ChildProcess {
  const enter = [`--net=/run/netns/${daemon.network}`, '--', process.execPath, ...args];
  return spawn('nsenter', enter, {
    env: { ...PLAIN_ENV },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
}

/** A program of this folder beside a daemon, which is asked, and answers in the order of the questions. */
export class Beside<To extends object, From> {
  readonly #child: ChildProcess;
  #last: Promise<unknown> = Promise.resolve();

  constructor(daemon: TestDaemon, program: string) {
    this.#child = nodeBeside(daemon, [join(import.meta.dirname, program)]);
  }

  /** One question after the other: answers carry no name. */
  ask(message: To): Promise<From> {
    const asked = this.#last.then(async () => {
      const answered = once(this.#child, 'message') as Promise<[From]>;
      this.#child.send(message);
      return (await answered)[0];
    });
    this.#last = asked.catch(() => undefined);
    return asked;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const closed = once(this.#child, 'close');
    this.#child.kill('SIGKILL');
    await closed;
  }
}
