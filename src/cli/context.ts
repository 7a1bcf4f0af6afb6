import type { EngineClient } from '#api/client/client.ts';
import { ApiError } from '#api/client/errors.ts';
import { errorMessage } from '#base/errors.ts';
import type { CommandDefinition } from './command-table.ts';
import type { FlagValues } from './flags.ts';

/** What a verb gets: the engine, what was typed, and where to write. */
export interface CliContext {
  readonly client: EngineClient;
  readonly command: CommandDefinition;
  readonly flags: FlagValues;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly print: (text: string) => void;
  readonly complain: (text: string) => void;
}

/** Returns the exit code. */
export type Verb = (context: CliContext) => Promise<number>;

/** Ends the program with a code of its own; `message` goes to standard error when there is one. */
export class ExitWith extends Error {
  readonly code: number;

  constructor(code: number, message = '') {
    super(message);
    this.code = code;
  }
}

/** What went wrong, and below it what to do, where the daemon says so. */
export function withHint(message: string, hint: string | undefined): string {
  return hint === undefined ? message : `${message}\n${hint}`;
}

/** Applies a verb to each argument; failures are printed and the others go on, as the reference does. */
export async function forEachArgument(
  context: CliContext,
  action: (argument: string) => Promise<string | undefined>,
): Promise<number> {
  let failed = false;
  for (const argument of context.args) {
    try {
      const line = await action(argument);
      if (line !== undefined) context.print(`${line}\n`);
    } catch (error) {
      failed = true;
      const hint = error instanceof ApiError ? error.hint : undefined;
      context.complain(`Error response from daemon: ${withHint(errorMessage(error), hint)}\n`);
    }
  }
  return failed ? 1 : 0;
}

/** `--filter key=value` as the API's JSON. */
export function filtersOf(list: readonly string[]): string | undefined {
  if (list.length === 0) return undefined;
  const filters = new Map<string, string[]>();
  for (const item of list) {
    const at = item.indexOf('=');
    if (at < 0)
      throw new ExitWith(
        1,
        `invalid argument ${JSON.stringify(item)} for "-f, --filter" flag: invalid filter '${item}'`,
      );
    const key = item.slice(0, at).trim().toLowerCase();
    filters.set(key, [...(filters.get(key) ?? []), item.slice(at + 1).trim()]);
  }
  return JSON.stringify(Object.fromEntries(filters));
}
