import { type Command, COMMANDS, GLOBAL_FLAGS } from './commands.ts';
import type { Flag } from './flags.ts';

const INDENT = '   ';

function flagLines(flags: readonly Flag[]): string {
  const heads = flags.map((flag) => {
    const value = flag.value === undefined ? '' : ` ${flag.value}`;
    const short = flag.short === undefined ? '' : `, -${flag.short}${value}`;
    return `--${flag.name}${value}${short}`;
  });
  const width = Math.max(0, ...heads.map((head) => head.length)) + 2;
  return flags.map((flag, index) => `${INDENT}${(heads[index] ?? '').padEnd(width)}${flag.help}\n`).join('');
}

export function commandHelp(command: Command): string {
  const options = command.flags.length === 0 ? '' : ' [OPTION...]';
  const words = command.arguments === '' ? '' : ` ${command.arguments}`;
  return [
    `gantry-oci ${command.name}: ${command.summary}\n`,
    `\nUsage: gantry-oci [GLOBAL OPTION...] ${command.name}${options}${words}\n`,
    `\n${command.details}\n`,
    command.flags.length === 0 ? '' : `\nOptions:\n${flagLines(command.flags)}`,
  ].join('');
}

export function programHelp(): string {
  const width = Math.max(...COMMANDS.map((command) => command.name.length)) + 2;
  return [
    'gantry-oci: an OCI runtime\n',
    '\nUsage: gantry-oci [GLOBAL OPTION...] COMMAND [OPTION...] [ARGUMENT...]\n',
    '\nCommands:\n',
    ...COMMANDS.map((command) => `${INDENT}${command.name.padEnd(width)}${command.summary}\n`),
    `${INDENT}${'help'.padEnd(width)}show this text, or that of a command\n`,
    `\nGlobal options:\n${flagLines(GLOBAL_FLAGS)}`,
  ].join('');
}
