import type { CommandDefinition, CommandTable, FlagDefinition } from './command-table.ts';
import { WORDS } from './words.ts';

function flagLine(flag: FlagDefinition): string {
  const short = flag.short === undefined ? '    ' : `-${flag.short}, `;
  const type = flag.type === 'bool' ? '' : ` ${flag.shown ?? flag.type}`;
  const standard = flag.default === undefined ? '' : ` (default ${flag.default})`;
  return `  ${short}--${flag.long}${type}${standard}\n`;
}

function flagsOf(command: CommandDefinition): string {
  const shown = command.flags.filter((flag) => flag.hidden !== true && flag.deprecated !== true);
  return shown.length === 0 ? '' : `\nOptions:\n${shown.map(flagLine).join('')}`;
}

export function commandHelp(command: CommandDefinition): string {
  const aliases =
    command.aliases.length === 0
      ? ''
      : `\nAliases:\n  ${[command.name, ...command.aliases].map((a) => `gantry ${a}`).join(', ')}\n`;
  return `Usage:  ${command.usage}\n\n${WORDS[command.name] ?? ''}\n${aliases}${flagsOf(command)}`;
}

export function programHelp(program: CommandDefinition, table: CommandTable): string {
  const names = table.filter((command) => WORDS[command.name] !== undefined).map((command) => command.name);
  const lines = names.map((name) => `  ${name.padEnd(13)} ${WORDS[name]}\n`).join('');
  return `Usage:  ${program.usage}\n\nRuns containers; takes the commands and flags that users of docker know.\n\nCommands:\n${lines}${flagsOf(program)}\nRun 'gantry COMMAND --help' for the flags of a command.\n`;
}
