import { appendFileSync, writeSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { errorCode } from '#base/errors.ts';

/** Ends the command: one message, one exit code. */
export class Failure extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode = 1, options?: ErrorOptions) {
    super(message, options);
    this.name = 'Failure';
    this.exitCode = exitCode;
  }
}

export type Level = 'debug' | 'info' | 'warning' | 'error';

export interface MessageOptions {
  readonly format: 'text' | 'json';
  readonly debug: boolean;
  /** A file, or standard error. */
  readonly file?: string;
  readonly now: () => Date;
}

/** Loading all that node has for terminals takes as long as the rest of a short command. */
function isOnTerminal(): boolean {
  return process.getBuiltinModule('node:tty').isatty(2);
}

const QUOTED = /[^\w./@^+-]/;

function line(options: MessageOptions, level: Level, msg: string): string {
  const time = `${options.now().toISOString().slice(0, 19)}Z`;
  if (options.format === 'json') return `${JSON.stringify({ level, msg, time })}\n`;
  if (options.file === undefined && isOnTerminal())
    return `${level.slice(0, 4).toUpperCase()}[0000] ${msg}\n`;
  return `time="${time}" level=${level} msg=${QUOTED.test(msg) || msg === '' ? JSON.stringify(msg) : msg}\n`;
}

/** Messages of the program, to its log; an error is also told on standard error when the log is elsewhere. */
export class Messages {
  readonly #options: MessageOptions;

  constructor(options: MessageOptions) {
    this.#options = options;
  }

  debug(message: string): void {
    if (this.#options.debug) this.#write('debug', message);
  }

  warn(message: string): void {
    this.#write('warning', message);
  }

  error(message: string): void {
    this.#write('error', message);
    if (this.#options.file !== undefined) printError(`${message}\n`);
  }

  #write(level: Level, message: string): void {
    const text = line(this.#options, level, message);
    if (this.#options.file === undefined) return printError(text);
    try {
      appendFileSync(this.#options.file, text, { mode: 0o644 });
    } catch (error) {
      printError(`${error instanceof Error ? error.message : String(error)}\n`);
    }
  }
}

/*
 * Node's own streams would make the descriptors non-blocking, and they are the container's as well: writes go
 * to the descriptor, and one that somebody else made non-blocking is tried again.
 */
function write(fd: number, bytes: Buffer): Buffer {
  let rest = bytes;
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (error) {
      if (errorCode(error) === 'EAGAIN') return rest;
      throw error;
    }
  }
  return rest;
}

/** Nobody may be reading; then there is nobody to tell. */
export function printError(text: string): void {
  try {
    write(2, Buffer.from(text));
  } catch {
    return;
  }
}

export async function print(text: string | Buffer): Promise<void> {
  let rest = write(1, Buffer.from(text));
  while (rest.length > 0) {
    await pause(1);
    rest = write(1, rest);
  }
}
