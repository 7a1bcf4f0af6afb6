import { createReadStream } from 'node:fs';
import type { ProgressLine } from '#api/client/image.ts';
import * as images from '#api/client/image.ts';
import { type CliContext, ExitWith, withHint } from '../context.ts';

/** Prints what the engine says on the way; an error line ends the command. */
async function printProgress(context: CliContext, lines: AsyncIterable<ProgressLine>): Promise<void> {
  for await (const line of lines) {
    if (line.error !== undefined) throw new ExitWith(1, withHint(line.error, line.errorDetail?.hint));
    if (line.stream !== undefined) context.print(line.stream);
    else if (line.status !== undefined && line.progressDetail === undefined)
      context.print(`${line.status}\n`);
  }
}

function source(path: string): AsyncIterable<Uint8Array> {
  if (path !== '' && path !== '-') return createReadStream(path);
  if (process.stdin.isTTY) throw new ExitWith(1, 'requested load from stdin, but stdin is empty');
  return process.stdin;
}

export async function loadCommand(context: CliContext): Promise<number> {
  const { client, flags } = context;
  await printProgress(
    context,
    images.load(client, source(flags.text('input')), { quiet: flags.bool('quiet') || !process.stdout.isTTY }),
  );
  return 0;
}

export async function importCommand(context: CliContext): Promise<number> {
  const { client, flags, args } = context;
  const [file = '-', reference = ''] = args;
  const options = {
    ...{ fromSrc: '-', repo: reference, message: flags.text('message'), platform: flags.text('platform') },
    changes: [...flags.list('change')],
  };
  await printProgress(context, images.importArchive(client, source(file), options));
  return 0;
}
