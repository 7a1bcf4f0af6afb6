import type { CommandDefinition, CommandTable, FlagDefinition } from './command-table.ts';
import { WORDS } from './words.ts';

function flagHead(flag: FlagDefinition): string {
  const short = flag.short === undefined ? '    ' : `-${flag.short}, `;
  const type = flag.type === 'bool' ? '' : ` ${flag.shown ?? flag.type}`;
  const standard = flag.default === undefined ? '' : ` (default ${flag.default})`;
  return `  ${short}--${flag.long}${type}${standard}`;
}

function flagsOf(command: CommandDefinition): string {
  const shown = command.flags.filter((flag) => flag.hidden !== true && flag.deprecated !== true);
  const width = Math.max(...shown.map((flag) => flagHead(flag).length)) + 3;
  const lines = shown.map((flag) => `${flagHead(flag).padEnd(width)}${flag.words ?? ''}`.trimEnd());
  return shown.length === 0 ? '' : `\nOptions:\n${lines.map((line) => `${line}\n`).join('')}`;
}

export function commandHelp(command: CommandDefinition): string {
  const aliases =
    command.aliases.length === 0
      ? ''
      : `\nAliases:\n  ${[command.name, ...command.aliases].map((a) => `gantry ${a}`).join(', ')}\n`;
  return `Usage:  ${command.usage}\n\n${WORDS[command.name] ?? ''}\n${aliases}${flagsOf(command)}`;
}

export function programHelp(program: CommandDefinition, table: CommandTable): string {
  const names = table.map(({ name }) => name).filter((name) => WORDS[name] !== undefined);
  const width = Math.max(...names.map((name) => name.length)) + 3;
  const lines = names
    .toSorted()
    .map((name) => `  ${name.padEnd(width)}${WORDS[name]}\n`)
    .join('');
  return `Usage:  ${program.usage}\n\nRuns containers; takes the commands and flags that users of docker know.\n\nCommands:\n${lines}${flagsOf(program)}\nRun 'gantry COMMAND --help' for the flags of a command.\n`;
}
