import type { CommandTable, FlagDefinition } from './command-table.ts';

/*
 * Commands and flags that the reference's command line does not have. Its own `image prune` and `pull` stand
 * here as far as they are needed for what is new in them.
 */

const FORMAT: FlagDefinition = {
  ...{ long: 'format', type: 'string', shown: 'json|TEMPLATE' },
  words: "JSON, or what a template such as '{{json .}}' makes of it",
};
const HELP: FlagDefinition = { long: 'help', type: 'bool', words: 'Print this text' };

export const OWN_COMMANDS: CommandTable = [
  {
    name: 'image explain',
    aliases: [],
    usage: 'gantry image explain [OPTIONS] IMAGE',
    arguments: { minimum: 1, maximum: 1 },
    interspersed: true,
    flags: [FORMAT, HELP, { long: 'no-trunc', type: 'bool', words: 'Shorten nothing' }],
  },
  {
    name: 'image diff',
    aliases: [],
    usage: 'gantry image diff [OPTIONS] IMAGE IMAGE',
    arguments: { minimum: 2, maximum: 2 },
    interspersed: true,
    flags: [FORMAT, HELP],
  },
  {
    name: 'image prune',
    aliases: [],
    usage: 'gantry image prune [OPTIONS]',
    arguments: { minimum: 0, maximum: 0 },
    interspersed: true,
    flags: [
      { long: 'all', short: 'a', type: 'bool', words: 'All that no container uses, not just dangling ones' },
      { long: 'dry-run', type: 'bool', words: 'Show what would be removed' },
      { long: 'filter', type: 'filter', words: 'Only these, such as until=24h' },
      { long: 'force', short: 'f', type: 'bool', words: 'Do not ask' },
      { ...FORMAT, words: `With --dry-run: ${FORMAT.words}` },
      HELP,
    ],
  },
  {
    name: 'pull',
    aliases: ['image pull'],
    usage: 'gantry pull [OPTIONS] NAME[:TAG|@DIGEST]',
    arguments: { minimum: 1, maximum: 1 },
    interspersed: true,
    flags: [
      { long: 'all-tags', short: 'a', type: 'bool', words: 'Every tag of the repository' },
      { ...FORMAT, words: `With --plan: ${FORMAT.words}` },
      HELP,
      { long: 'plan', type: 'bool', words: 'Show what would be fetched' },
      { long: 'platform', type: 'string', words: 'Of an image for several platforms this one' },
      { long: 'quiet', short: 'q', type: 'bool', words: 'Print only what was pulled' },
    ],
  },
  {
    name: 'registry serve',
    aliases: [],
    usage: 'gantry registry serve [OPTIONS]',
    arguments: { minimum: 0, maximum: 0 },
    interspersed: true,
    hasOwnHelp: true,
    flags: [
      { long: 'help', short: 'h', type: 'bool' },
      { long: 'version', short: 'v', type: 'bool' },
      { long: 'addr', type: 'string' },
      { long: 'auth', type: 'string' },
      { long: 'cache-size', type: 'string' },
      { long: 'data', type: 'string' },
      { long: 'log-level', type: 'string' },
      { long: 'proxy', type: 'string' },
      { long: 'proxy-auth', type: 'string' },
      { long: 'readonly', type: 'bool' },
      { long: 'tls', type: 'string' },
    ],
  },
];
