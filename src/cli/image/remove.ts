import * as images from '#api/client/image.ts';
import { type CliContext, forEachArgument } from '../context.ts';

export function removeImageCommand(context: CliContext): Promise<number> {
  const { client, flags, print } = context;
  return forEachArgument(context, async (name) => {
    const removed = await images.remove(client, name, {
      force: flags.bool('force'),
      noprune: flags.bool('no-prune'),
    });
    for (const item of removed)
      print(item.Deleted === undefined ? `Untagged: ${item.Untagged}\n` : `Deleted: ${item.Deleted}\n`);
    return undefined;
  });
}

export async function tagCommand(context: CliContext): Promise<number> {
  const [source = '', target = ''] = context.args;
  const colon = target.lastIndexOf(':');
  const hasTag = colon > target.lastIndexOf('/');
  const repo = hasTag ? target.slice(0, colon) : target;
  await images.tag(context.client, source, { repo, tag: hasTag ? target.slice(colon + 1) : 'latest' });
  return 0;
}
