import type { PullPlan } from '#api/gantry-images.ts';
import * as images from '#api/client/image.ts';
import { formatReference, parseReference, type Reference, withDefaultTag } from '#oci/reference.ts';
import { type CliContext, ExitWith, withHint } from '../context.ts';
import { UsageError } from '../flags.ts';
import { compileFormat } from '../output/format.ts';
import { renderTable } from '../output/table.ts';
import { registryAuth } from '../registry/docker-config.ts';
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

async function planCommand(context: CliContext): Promise<number> {
  const { client, flags, args, print } = context;
  if (flags.bool('all-tags')) throw new UsageError('--all-tags does not go with --plan');
  const show = compileFormat(flags.text('format'), planText);
  const reference = parseReference(args[0] ?? '');
  const asked = { reference: formatReference(reference), platform: flags.text('platform') };
  const auth = await registryAuth(reference.domain, context);
  print(show(await images.planPull(client, asked, auth)));
  return 0;
}

/** Without a tag `latest` is meant; the engine would bring every tag. */
function pulledReference({ flags, args, print }: CliContext): Reference {
  const given = parseReference(args[0] ?? '');
  const isNameOnly = given.tag === null && given.digest === null;
  if (flags.bool('all-tags')) {
    if (!isNameOnly) throw new ExitWith(1, "tag can't be used with --all-tags/-a");
    return given;
  }
  if (isNameOnly && !flags.bool('quiet')) print('Using default tag: latest\n');
  return withDefaultTag(given);
}

/** The registry's or the engine's reason, which comes after the answer has begun. */
export class PullError extends Error {}

export interface WantedImage {
  /** With tag or digest, or else every tag is brought. */
  readonly reference: Reference;
  readonly platform: string;
  readonly say: (text: string) => void;
}

/** Errors: `PullError`, `ApiError`. */
export async function pullImage(context: CliContext, wanted: WantedImage): Promise<void> {
  const { reference, platform, say } = wanted;
  const auth = await registryAuth(reference.domain, context);
  const asked = { fromImage: formatReference(reference), platform };
  for await (const line of images.pull(context.client, asked, auth)) {
    if (line.error !== undefined) throw new PullError(withHint(line.error, line.errorDetail?.hint));
    if (line.progressDetail?.total !== undefined) continue;
    say(`${line.id === undefined ? '' : `${line.id}: `}${line.status ?? ''}\n`);
  }
}

export async function pullCommand(context: CliContext): Promise<number> {
  const { flags, print } = context;
  if (flags.bool('plan')) return planCommand(context);
  if (flags.has('format')) throw new UsageError('--format goes with --plan');
  const reference = pulledReference(context);
  const say = flags.bool('quiet') ? () => undefined : print;
  await pullImage(context, { reference, platform: flags.text('platform'), say });
  print(`${formatReference(reference)}\n`);
  return 0;
}
