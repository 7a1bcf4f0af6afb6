/**
 * Writes `src/cli/generated/table.ts` from test/reference/cli/commands.json: names, types and defaults of the
 * reference's command line. The words of help are ours and live in `src/cli/words.ts`.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FlagDefinition } from '../src/cli/command-table.ts';

interface Command {
  readonly path: readonly string[];
  readonly aliases: readonly (readonly string[])[];
  readonly usage: readonly string[];
  readonly args: readonly { readonly name: string; readonly optional: boolean; readonly variadic: boolean }[];
  readonly flags: readonly FlagDefinition[];
}

/** Flags after the first argument belong to the container's command. */
const ARGUMENTS_END_FLAGS = ['', 'run', 'create', 'exec'];

function render(command: Command): string {
  const name = command.path.join(' ');
  const minimum = command.args.filter((arg) => !arg.optional).length;
  const isOpen = command.args.some((arg) => arg.variadic);
  const maximum = isOpen ? 'null' : String(command.args.length);
  const lines = command.flags.map((flag) => `      ${JSON.stringify(flag)},`);
  return [
    '  {',
    `    name: ${JSON.stringify(name)},`,
    `    aliases: ${JSON.stringify(command.aliases.map((alias) => alias.join(' ')))},`,
    `    usage: ${JSON.stringify(command.usage[0] ?? '')},`,
    `    arguments: { minimum: ${minimum}, maximum: ${maximum} },`,
    `    interspersed: ${!ARGUMENTS_END_FLAGS.includes(name)},`,
    '    flags: [',
    ...lines,
    '    ],',
    '  },',
  ].join('\n');
}

const root = join(import.meta.dirname, '..');
const text = await readFile(join(root, 'test/reference/cli/commands.json'), 'utf8');
const commands = (JSON.parse(text) as Command[]).toSorted((a, b) => (a.path.join() < b.path.join() ? -1 : 1));
const output = `// Made by tools/gen-cli.ts from test/reference/cli/commands.json.
import type { CommandTable } from '../command-table.ts';

export const COMMANDS: CommandTable = [
${commands.map(render).join('\n')}
];
`;
await mkdir(join(root, 'src/cli/generated'), { recursive: true });
await writeFile(join(root, 'src/cli/generated/table.ts'), output);
