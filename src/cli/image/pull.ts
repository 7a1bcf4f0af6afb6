import type { PullPlan } from '#api/gantry-images.ts';
import * as images from '#api/client/image.ts';
import { type CliContext, ExitWith } from '../context.ts';
import { renderTable } from '../output/table.ts';
import { humanSize } from '../values.ts';

const STATES: Readonly<Record<PullPlan['Layers'][number]['State'], string>> = {
  layer: 'is here',
  blob: 'is here, to be unpacked',
  partial: 'begun',
  missing: 'to be fetched',
};

function planText(plan: PullPlan): string {
  const rows = plan.Layers.map(({ Digest, Size, State, HaveBytes }) => [
    Digest.replace('sha256:', '').slice(0, 12),
    humanSize(Size),
    State === 'partial' ? `${STATES.partial}: ${humanSize(HaveBytes)} of it are here` : STATES[State],
  ]);
  return [
    `${plan.Reference} (${plan.Platform})\nDigest: ${plan.Digest}\n`,
    rows.length === 0 ? '' : renderTable(['LAYER', 'SIZE', 'STATE'], rows),
    plan.UpToDate ? 'Image is up to date.\n' : `Would fetch: ${humanSize(plan.DownloadBytes)}\n`,
  ].join('');
}

export async function pullCommand({ client, flags, args, print }: CliContext): Promise<number> {
  const [reference = ''] = args;
  const platform = flags.text('platform');
  if (flags.bool('plan')) {
    print(planText(await images.planPull(client, { reference, platform })));
    return 0;
  }
  for await (const line of images.pull(client, { fromImage: reference, platform })) {
    if (line.error !== undefined) throw new ExitWith(1, line.error);
    if (flags.bool('quiet') || line.progressDetail?.total !== undefined) continue;
    print(`${line.id === undefined ? '' : `${line.id}: `}${line.status ?? ''}\n`);
  }
  if (flags.bool('quiet')) print(`${reference}\n`);
  return 0;
}
