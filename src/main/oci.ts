/** `gantry-oci`: the OCI runtime command line. */
import { errorMessage } from '#base/errors.ts';
import { createProgramKernel } from '#host/program.ts';
import { type Command, COMMANDS, GLOBAL_FLAGS } from './oci/commands.ts';
import type { Context, Verb } from './oci/context.ts';
import { parseFlags, type FlagValues, UsageError } from './oci/flags.ts';
import { commandHelp, programHelp } from './oci/help.ts';
import { Failure, Messages, print } from './oci/messages.ts';
import { Store } from './oci/state.ts';
import { versionText } from './oci/version.ts';

const DEFAULT_ROOT = '/run/gantry-oci';
const UNKNOWN_COMMAND = 3;
const EXEC_FAILED = 255;

/** Each verb's code is evaluated only when it is wanted. */
const VERBS: Readonly<Record<string, () => Promise<Verb>>> = {
  create: async () => (await import('./oci/create.ts')).create,
  start: async () => (await import('./oci/start.ts')).start,
  state: async () => (await import('./oci/list.ts')).state,
  kill: async () => (await import('./oci/kill.ts')).kill,
  delete: async () => (await import('./oci/delete.ts')).remove,
  run: async () => (await import('./oci/run.ts')).run,
  exec: async () => (await import('./oci/exec.ts')).exec,
  pause: async () => (await import('./oci/pause.ts')).pause,
  resume: async () => (await import('./oci/pause.ts')).resume,
  update: async () => (await import('./oci/update.ts')).update,
  ps: async () => (await import('./oci/ps.ts')).ps,
  list: async () => (await import('./oci/list.ts')).list,
  events: async () => (await import('./oci/events.ts')).events,
  spec: async () => (await import('./oci/spec.ts')).spec,
  features: async () => (await import('./oci/features.ts')).features,
};

/** Errors of `create` and `run` begin with the command, as callers know it. */
const PREFIXES: Readonly<Record<string, string>> = {
  create: 'runc create failed: ',
  run: 'runc run failed: ',
  exec: 'exec failed: ',
};

function messagesOf(flags: FlagValues): Messages {
  const format = flags.text('log-format') ?? 'text';
  const file = flags.text('log') ?? '';
  const options = { debug: flags.on('debug'), now: () => new Date() };
  if (format !== 'text' && format !== 'json') {
    new Messages({ ...options, format: 'text' }).error(`invalid log-format: ${format}`);
    throw new Failure('');
  }
  return new Messages({ ...options, format, ...(file !== '' && { file }) });
}

function chosenCommand(name: string): Command {
  const command = COMMANDS.find((candidate) => candidate.name === name);
  if (command === undefined) throw new Failure(`No help topic for '${name}'`, UNKNOWN_COMMAND);
  return command;
}

function checkWords({ name, words }: Command, count: number): void {
  if (count >= words.min && count <= words.max) return;
  const bound = words.min === words.max ? 'exactly' : count < words.min ? 'a minimum of' : 'a maximum of';
  const wanted = count < words.min ? words.min : words.max;
  throw new UsageError(`gantry-oci: ${JSON.stringify(name)} requires ${bound} ${wanted} argument(s)`);
}

async function runCommand(
  command: Command,
  argv: readonly string[],
  context: Omit<Context, 'flags' | 'words'>,
): Promise<number> {
  let parsed: ReturnType<typeof parseFlags>;
  try {
    if (argv.some((word) => word === '--help' || word === '-h') && command.wordsEnd !== true) {
      await print(commandHelp(command));
      return 0;
    }
    parsed = parseFlags(command.flags, argv, { wordsEnd: command.wordsEnd === true });
    checkWords(command, parsed.words.length);
  } catch (error) {
    if (error instanceof UsageError)
      await print(`Incorrect usage: ${error.message}\n\n${commandHelp(command)}`);
    throw error;
  }
  const verb = await VERBS[command.name]?.();
  if (verb === undefined) throw new Failure(`No help topic for '${command.name}'`, UNKNOWN_COMMAND);
  try {
    const exitCode = await verb({ ...context, ...parsed });
    return typeof exitCode === 'number' ? exitCode : 0;
  } catch (error) {
    const exitCode = error instanceof Failure ? error.exitCode : 1;
    const message = `${PREFIXES[command.name] ?? ''}${errorMessage(error)}`;
    throw new Failure(message, command.name === 'exec' ? EXEC_FAILED : exitCode, { cause: error });
  }
}

async function help(name: string | undefined): Promise<number> {
  await print(name === undefined ? programHelp() : commandHelp(chosenCommand(name)));
  return 0;
}

async function main(argv: readonly string[]): Promise<number> {
  let messages = new Messages({ format: 'text', debug: false, now: () => new Date() });
  try {
    const { flags, words } = parseFlags(GLOBAL_FLAGS, argv, { wordsEnd: true });
    if (flags.on('version')) {
      await print(versionText());
      return 0;
    }
    const [name, ...rest] = words;
    if (name === undefined || flags.on('help')) return await help(undefined);
    if (name === 'help' || name === 'h') return await help(rest[0]);
    messages = messagesOf(flags);
    const command = chosenCommand(name);
    if (flags.on('systemd-cgroup')) {
      throw new Failure('--systemd-cgroup is not supported: cgroups are made directly (cgroupfs)');
    }
    const kernel = createProgramKernel();
    const store = new Store(flags.text('root') ?? DEFAULT_ROOT, kernel.locks);
    return await runCommand(command, rest, { kernel, store, messages });
  } catch (error) {
    const message = errorMessage(error);
    if (message !== '') messages.error(message);
    return error instanceof Failure ? error.exitCode : 1;
  }
}

void main(process.argv.slice(2)).then((code) => process.exit(code));
