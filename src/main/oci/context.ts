import type { ProgramKernel } from '#host/program.ts';
import type { FlagValues } from './flags.ts';
import type { Messages } from './messages.ts';
import type { Store } from './state.ts';

/** What a verb works with. */
export interface Context {
  readonly kernel: ProgramKernel;
  readonly store: Store;
  readonly messages: Messages;
  readonly flags: FlagValues;
  readonly words: readonly string[];
}

/** Returns the program's exit code, if it is not 0 anyway. */
export type Verb = ((context: Context) => Promise<void>) | ((context: Context) => Promise<number>);

/** The first word, which every verb of a container has. */
export function containerId({ words }: Pick<Context, 'words'>): string {
  return words[0] ?? '';
}
