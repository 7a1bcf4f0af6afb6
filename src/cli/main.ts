import { homedir } from 'node:os';
import { join } from 'node:path';
import { EngineClient } from '#api/client/client.ts';
import { DEFAULT_HOST, tlsFilesBelow, type TlsFiles } from '#api/client/endpoint.ts';
import { ApiError, ConnectionError } from '#api/client/errors.ts';
import type { CommandDefinition, CommandTable } from './command-table.ts';
import { ExitWith, withHint } from './context.ts';
import { type FlagValues, parseFlags, UsageError } from './flags.ts';
import { COMMANDS as REFERENCE_COMMANDS } from './generated/table.ts';
import { groupHelpFor } from './groups.ts';
import { commandHelp, programHelp } from './help.ts';
import { OWN_COMMANDS } from './own-commands.ts';
import { VERBS } from './verbs.ts';

const USAGE_EXIT = 125;
const COMMANDS: CommandTable = [...REFERENCE_COMMANDS, ...OWN_COMMANDS].map(withHelp);

/** Every command has `--help`, and `-h` where that is nothing else. */
function withHelp(command: CommandDefinition): CommandDefinition {
  const { flags } = command;
  const rest = flags.filter(({ long }) => long !== 'help');
  const given = flags.find(({ long }) => long === 'help') ?? { long: 'help', type: 'bool', hidden: true };
  const isFree = rest.every(({ short }) => short !== 'h');
  return { ...command, flags: [...rest, { ...given, ...(isFree && { short: 'h' }) }] };
}

/** The definition of the program itself: its flags stand before the command. */
function programOf(table: CommandTable): CommandDefinition {
  const program = table.find((command) => command.name === '');
  if (program === undefined) throw new Error('the table has no entry for the program itself');
  return program;
}

interface Chosen {
  readonly command: CommandDefinition;
  readonly words: readonly string[];
}

/** Finds a command by its name or an alias of up to two words. */
export function chooseCommand(table: CommandTable, words: readonly string[]): Chosen {
  for (const length of [2, 1]) {
    const name = words.slice(0, length).join(' ');
    const command = table.find((c) => (c.name === name || c.aliases.includes(name)) && c.name !== '');
    if (command !== undefined && words.length >= length) return { command, words: words.slice(length) };
  }
  const name = `gantry ${words[0] ?? ''}`;
  throw new ExitWith(1, `gantry: unknown command: ${name}\n\nRun 'gantry --help' for more information`);
}

function checkArguments(command: CommandDefinition, count: number): void {
  const { minimum, maximum } = command.arguments;
  const help = `\n\nUsage:  ${command.usage}\n\nRun 'gantry ${command.name} --help' for more information`;
  const plural = (n: number): string => `${n} argument${n === 1 ? '' : 's'}`;
  if (minimum === maximum && count !== minimum) {
    const wanted = minimum === 0 ? 'accepts no arguments' : `requires ${plural(minimum)}`;
    throw new ExitWith(1, `gantry: 'gantry ${command.name}' ${wanted}${help}`);
  }
  if (count < minimum)
    throw new ExitWith(1, `gantry: 'gantry ${command.name}' requires at least ${plural(minimum)}${help}`);
  if (maximum !== null && count > maximum) {
    throw new ExitWith(1, `gantry: 'gantry ${command.name}' requires at most ${plural(maximum)}${help}`);
  }
}

function tlsOf(global: FlagValues): TlsFiles | undefined {
  const verify = global.bool('tlsverify') || (process.env['DOCKER_TLS_VERIFY'] ?? '') !== '';
  if (!verify && !global.bool('tls')) return undefined;
  const files = tlsFilesBelow(process.env['DOCKER_CERT_PATH'] ?? join(homedir(), '.docker'), verify);
  const given = (flag: string, fallback: string | undefined): string | undefined =>
    global.has(flag) ? global.text(flag) : fallback;
  const [ca, cert, key] = [
    given('tlscacert', files.ca),
    given('tlscert', files.cert),
    given('tlskey', files.key),
  ];
  return {
    verify,
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
  };
}

function clientOf(global: FlagValues): EngineClient {
  const host =
    global.text('host') || process.env['GANTRY_HOST'] || process.env['DOCKER_HOST'] || DEFAULT_HOST;
  const tls = tlsOf(global);
  const apiVersion = process.env['DOCKER_API_VERSION'];
  return new EngineClient({
    host,
    ...(tls !== undefined && { tls }),
    ...(apiVersion !== undefined && apiVersion !== '' && { apiVersion }),
  });
}

async function runCommandLine(words: readonly string[]): Promise<number> {
  const program = programOf(COMMANDS);
  const print = (text: string): void => void process.stdout.write(text);
  const complain = (text: string): void => void process.stderr.write(text);
  const global = parseFlags(program, words);
  if (global.flags.bool('version')) {
    print('gantry version 0.1.0\n');
    return 0;
  }
  const typed = global.args[0] === 'help' ? [...global.args.slice(1), '--help'] : global.args;
  const isForProgram = typed.length === 0 || typed[0] === '--help' || global.flags.bool('help');
  const help = isForProgram ? programHelp(program, COMMANDS) : groupHelpFor(COMMANDS, typed);
  if (help !== undefined) {
    print(help);
    return 0;
  }
  const { command, words: rest } = chooseCommand(COMMANDS, typed);
  let parsed: ReturnType<typeof parseFlags>;
  try {
    parsed = parseFlags(command, rest);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(
      `${error.message}\n\nUsage:  ${command.usage}\n\nRun 'gantry ${command.name} --help' for more information`,
    );
  }
  if (parsed.flags.bool('help') && command.hasOwnHelp !== true) {
    print(commandHelp(command));
    return 0;
  }
  checkArguments(command, parsed.args.length);
  const load = Object.hasOwn(VERBS, command.name) ? VERBS[command.name] : undefined;
  if (load === undefined)
    throw new ExitWith(
      1,
      `gantry ${command.name} is not there yet; the docker command line can be used meanwhile`,
    );
  const verb = await load();
  return verb({
    client: clientOf(global.flags),
    command,
    ...parsed,
    environment: process.env,
    print,
    complain,
  });
}

/** Prints an error as its kind wants and returns the exit code. */
function report(error: unknown): number {
  const say = (text: string): void => void (text !== '' && process.stderr.write(`${text}\n`));
  if (error instanceof ExitWith) {
    say(error.message);
    return error.code;
  }
  if (error instanceof UsageError) {
    say(error.message);
    return USAGE_EXIT;
  }
  if (error instanceof ApiError) say(`Error response from daemon: ${withHint(error.message, error.hint)}`);
  else if (error instanceof ConnectionError) say(error.message);
  else say(error instanceof Error ? error.message : String(error));
  return 1;
}

process.stdout.on('error', () => process.exit(1));
runCommandLine(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    process.exitCode = report(error);
  },
);
