import type { CommandTable, FlagDefinition } from './command-table.ts';

/*
 * Commands and flags that the reference's command line does not have. Its own `image prune` and `pull` stand
 * here as far as they are needed for what is new in them.
 */

const FORMAT: FlagDefinition = { long: 'format', type: 'string' };
const HELP: FlagDefinition = { long: 'help', type: 'bool' };

export const OWN_COMMANDS: CommandTable = [
  {
    name: 'image explain',
    aliases: [],
    usage: 'gantry image explain [OPTIONS] IMAGE',
    arguments: { minimum: 1, maximum: 1 },
    interspersed: true,
    flags: [FORMAT, HELP, { long: 'no-trunc', type: 'bool' }],
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
      HELP,
      { long: 'all', short: 'a', type: 'bool' },
      { long: 'dry-run', type: 'bool' },
      { long: 'filter', type: 'filter' },
      { long: 'force', short: 'f', type: 'bool' },
    ],
  },
  {
    name: 'pull',
    aliases: ['image pull'],
    usage: 'gantry pull [OPTIONS] NAME[:TAG|@DIGEST]',
    arguments: { minimum: 1, maximum: 1 },
    interspersed: true,
    flags: [
      HELP,
      { long: 'plan', type: 'bool' },
      { long: 'platform', type: 'string' },
      { long: 'quiet', short: 'q', type: 'bool' },
    ],
  },
  {
    name: 'registry serve',
    aliases: [],
    usage: 'gantry registry serve [OPTIONS]',
    arguments: { minimum: 0, maximum: 0 },
    interspersed: true,
    flags: [
      HELP,
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
