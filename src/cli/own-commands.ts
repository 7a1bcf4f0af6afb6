import type { CommandTable, FlagDefinition } from './command-table.ts';

/*
 * Commands and flags that the reference's command line does not have. Its own `image prune` and `pull` stand
 * here as far as they are needed for what is new in them.
 */

const FORMAT: FlagDefinition = { long: 'format', type: 'string' };

export const OWN_COMMANDS: CommandTable = [
  {
    name: 'image explain',
    aliases: [],
    usage: 'gantry image explain [OPTIONS] IMAGE',
    arguments: { minimum: 1, maximum: 1 },
    interspersed: true,
    flags: [FORMAT, { long: 'no-trunc', type: 'bool' }],
  },
  {
    name: 'image diff',
    aliases: [],
    usage: 'gantry image diff [OPTIONS] IMAGE IMAGE',
    arguments: { minimum: 2, maximum: 2 },
    interspersed: true,
    flags: [FORMAT],
  },
  {
    name: 'image prune',
    aliases: [],
    usage: 'gantry image prune [OPTIONS]',
    arguments: { minimum: 0, maximum: 0 },
    interspersed: true,
    flags: [
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
      { long: 'plan', type: 'bool' },
      { long: 'platform', type: 'string' },
      { long: 'quiet', short: 'q', type: 'bool' },
    ],
  },
];
