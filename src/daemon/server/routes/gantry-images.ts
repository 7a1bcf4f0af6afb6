import { parseFilters } from '#api/filters.ts';
import type { PullPlan } from '#api/gantry-images.ts';
import { decodeRegistryAuth } from '#registry/credentials.ts';
import { parsePlatform } from '#oci/platform.ts';
import { parseReference, withDefaultTag } from '#oci/reference.ts';
import type { ImageBackend } from '../backends.ts';
import type { Call, Route } from '../call.ts';
import { OK } from '../http-status.ts';
import { queryText } from '../query.ts';
import { JSON_TYPE } from '../reply.ts';

/** What this engine knows about images beyond the reference's API. */
export function gantryImageRoutes(images: ImageBackend): readonly Route[] {
  const on = (verb: (backend: ImageBackend, call: Call) => Promise<void>) => (call: Call) =>
    verb(images, call);
  return [
    ['GET', '/gantry/v1/images/{name...}/explain', on(getExplanation)],
    ['GET', '/gantry/v1/images-diff', on(getDifference)],
    ['POST', '/gantry/v1/images/plan-prune', on(postPlanPrune)],
    ['POST', '/gantry/v1/images/plan-pull', on(postPlanPull)],
  ];
}

async function getExplanation(images: ImageBackend, { param, reply }: Call): Promise<void> {
  reply.json(OK, await images.explain(param('name')));
}

/** The list of files may be long: it is sent as it is found. */
async function getDifference(images: ImageBackend, { query, reply, signal }: Call): Promise<void> {
  const { files, ...rest } = await images.diff(queryText(query, 'a'), queryText(query, 'b'));
  for await (const chunk of files) {
    if (signal.aborted) return;
    if (!reply.isStarted) {
      reply.begin(JSON_TYPE);
      await reply.write(`${JSON.stringify(rest).slice(0, -1)},"Files":`);
    }
    await reply.write(chunk);
  }
  await reply.write('}\n');
  reply.end();
}

async function postPlanPrune(images: ImageBackend, { query, reply }: Call): Promise<void> {
  reply.json(OK, await images.planPrune(parseFilters(query.get('filters'))));
}

async function postPlanPull(images: ImageBackend, call: Call): Promise<void> {
  const { query, reply, signal, request } = call;
  const reference = withDefaultTag(parseReference(queryText(query, 'reference')));
  const platform = queryText(query, 'platform');
  const header = request.headers['x-registry-auth'];
  const plan = await images.planPull(reference, {
    ...(platform !== '' && { platform: parsePlatform(platform) }),
    credentials: typeof header === 'string' ? decodeRegistryAuth(header) : null,
    signal,
  });
  const { layers, digest: Digest, imageId: ImageId } = plan;
  reply.json(OK, {
    Reference: plan.reference,
    Digest,
    ImageId,
    Platform: plan.platform,
    UpToDate: plan.upToDate,
    Layers: layers.map((layer) => ({
      Digest: layer.digest,
      Size: layer.sizeBytes,
      State: layer.state,
      HaveBytes: layer.haveBytes,
    })),
    DownloadBytes: plan.downloadBytes,
  } satisfies PullPlan);
}
