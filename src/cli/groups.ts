import type { CommandTable } from './command-table.ts';
import { ExitWith } from './context.ts';
import { UsageError } from './flags.ts';
import { GROUP_WORDS, WORDS } from './words.ts';

/*
 * Words that only stand before other commands: `gantry image`, `gantry registry`. Alone, or with `--help`, they
 * show what may follow.
 */

/** The second word, and what the command does; of several words for one command the first. */
function membersOf(group: string, table: CommandTable): readonly (readonly [string, string])[] {
  return table
    .flatMap(({ name, aliases }) => {
      const full = [name, ...aliases].find((one) => one.startsWith(`${group} `));
      const words = WORDS[name];
      return full === undefined || words === undefined
        ? []
        : [[full.slice(group.length + 1), words] as const];
    })
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
}

function groupHelp(group: string, table: CommandTable): string {
  const members = membersOf(group, table);
  const width = Math.max(...members.map(([name]) => name.length)) + 3;
  const lines = members.map(([name, words]) => `  ${name.padEnd(width)}${words}\n`).join('');
  return [
    `Usage:  gantry ${group} COMMAND\n\n${GROUP_WORDS[group] ?? ''}\n\nCommands:\n${lines}`,
    `\nRun 'gantry ${group} COMMAND --help' for more information on a command.\n`,
  ].join('');
}

/**
 * The help of a group, where the words ask for it; undefined where they are no group's. Errors: `UsageError`
 * for a flag, `ExitWith` for a command that the group has not.
 */
export function groupHelpFor(table: CommandTable, words: readonly string[]): string | undefined {
  const [group = '', next] = words;
  if (!Object.hasOwn(GROUP_WORDS, group)) return undefined;
  if (next === undefined || next === '--help' || next === '-h') return groupHelp(group, table);
  const more = `\n\nUsage:  gantry ${group} COMMAND\n\nRun 'gantry ${group} --help' for more information`;
  if (next.startsWith('--')) throw new UsageError(`unknown flag: ${next.split('=')[0]}${more}`);
  if (next.startsWith('-'))
    throw new UsageError(`unknown shorthand flag: '${next.charAt(1)}' in ${next}${more}`);
  const full = `${group} ${next}`;
  if (table.some(({ name, aliases }) => name === full || aliases.includes(full))) return undefined;
  throw new ExitWith(1, `gantry: unknown command: gantry ${full}${more}`);
}
