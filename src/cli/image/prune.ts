import type { PrunePlan } from '#api/gantry-images.ts';
import * as images from '#api/client/image.ts';
import { type CliContext, filtersOf } from '../context.ts';
import { UsageError } from '../flags.ts';
import { compileFormat } from '../output/format.ts';
import { renderTable } from '../output/table.ts';
import { humanSize } from '../values.ts';

/** A digest as short as an image's id. */
function shownName(name: string): string {
  return name.replace(/@sha256:([0-9a-f]{12})[0-9a-f]+$/, '@sha256:$1…');
}

/** One line for each name that would go; id and size stand beside the first of an image. */
function planText({ Images, SpaceReclaimed }: PrunePlan): string {
  const rows = Images.flatMap(({ Id, Names, Size }) =>
    (Names.length === 0 ? ['<none>'] : Names).map((name, index) =>
      index === 0
        ? [shownName(name), Id.replace('sha256:', '').slice(0, 12), humanSize(Size)]
        : [shownName(name), '', ''],
    ),
  );
  const table = rows.length === 0 ? '' : renderTable(['WOULD REMOVE', 'IMAGE ID', 'SIZE'], rows);
  return `${table}Would reclaim: ${humanSize(SpaceReclaimed)}\n`;
}

/** Anything but yes is no, the end of the input too. */
async function isConfirmed({ print }: CliContext, all: boolean): Promise<boolean> {
  const what = all ? 'all images without at least one container associated to them' : 'all dangling images';
  print(`WARNING! This will remove ${what}.\nAre you sure you want to continue? [y/N] `);
  for await (const chunk of process.stdin) return /^y(es)?\s*$/i.test(String(chunk).split('\n')[0] ?? '');
  return false;
}

export async function pruneImagesCommand(context: CliContext): Promise<number> {
  const { client, flags, print } = context;
  const all = flags.bool('all');
  const filters = filtersOf([...flags.list('filter'), ...(all ? ['dangling=false'] : [])]);
  const options = { ...(filters !== undefined && { filters }) };
  if (flags.bool('dry-run')) {
    const show = compileFormat(flags.text('format'), planText);
    print(show(await images.planPrune(client, options)));
    return 0;
  }
  if (flags.has('format')) throw new UsageError('--format goes with --dry-run');
  if (!flags.bool('force') && !(await isConfirmed(context, all))) return 0;
  const { ImagesDeleted, SpaceReclaimed } = await images.prune(client, options);
  const lines = (ImagesDeleted ?? []).map((item) =>
    item.Deleted === undefined ? `untagged: ${item.Untagged}\n` : `deleted: ${item.Deleted}\n`,
  );
  if (lines.length > 0) print(`Deleted Images:\n${lines.join('')}\n`);
  print(`Total reclaimed space: ${humanSize(SpaceReclaimed ?? 0)}\n`);
  return 0;
}
