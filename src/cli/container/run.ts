import { writeFileSync } from 'node:fs';
import * as containers from '#api/client/container.ts';
import { ApiError } from '#api/client/errors.ts';
import { errorMessage } from '#base/errors.ts';
import { familiarReference, parseAnyReference, withDefaultTag } from '#oci/reference.ts';
import { type CliContext, ExitWith, withHint } from '../context.ts';
import { UsageError } from '../flags.ts';
import { pullImage } from '../image/pull.ts';
import { attachSession } from './attached-session.ts';
import { createRequest } from './create-body.ts';
import { exitStatus } from './exit-status.ts';
import { forwardSignals } from './signals.ts';

const PULL_POLICIES = ['always', 'missing', 'never'];
const NOT_FOUND = 404;
const HELP = "\n\nRun 'gantry run --help' for more information";

/**
 * 125 the engine refused, 126 the command cannot be executed, 127 it was not found: by the engine's text, as
 * clients do.
 */
export function exitCodeOf(message: string): number {
  const text = message.toLowerCase();
  if (
    text.includes('executable file not found') ||
    text.includes('no such file or directory') ||
    text.includes('system cannot find')
  )
    return 127;
  if (text.includes('permission denied') || text.includes('not a directory')) return 126;
  return 125;
}

type Created = Awaited<ReturnType<typeof containers.create>>;

/** Of an image that is not here; what else may be missing has other texts. */
function isImageMissing(error: unknown): boolean {
  return error instanceof ApiError && error.status === NOT_FOUND && error.message.startsWith('No such image');
}

/** Brings the image as `--pull` has it: before, never, or when the engine does not know it. */
async function createWith(context: CliContext, create: () => Promise<Created>): Promise<Created> {
  const { flags, args, complain } = context;
  const policy = flags.text('pull');
  if (!PULL_POLICIES.includes(policy)) {
    throw new UsageError(`invalid pull option: '${policy}': must be one of "always", "missing" or "never"`);
  }
  const say = flags.bool('quiet') ? () => undefined : complain;
  const asked = parseAnyReference(args[0] ?? '');
  // No registry is asked for an image by its id.
  if (asked.kind === 'digest') return create();
  const reference = withDefaultTag(asked.reference);
  const bring = async (): Promise<void> => {
    if (policy === 'missing') say(`Unable to find image '${familiarReference(reference)}' locally\n`);
    await pullImage(context, { reference, platform: flags.text('platform'), say });
  };
  if (policy === 'always') await bring();
  try {
    return await create();
  } catch (error) {
    if (policy !== 'missing' || !isImageMissing(error)) throw error;
  }
  await bring();
  return create();
}

async function create(context: CliContext): Promise<string> {
  const { flags, args, environment } = context;
  const [image = '', ...command] = args;
  const request = createRequest({ flags, image, command, environment });
  const answer = await createWith(context, () =>
    containers.create(context.client, request.body, {
      ...(request.name !== '' && { name: request.name }),
      ...(request.platform !== '' && { platform: request.platform }),
    }),
  );
  for (const warning of answer.Warnings ?? []) context.complain(`WARNING: ${warning}\n`);
  if (flags.has('cidfile')) writeFileSync(flags.text('cidfile'), answer.Id, { flag: 'wx' });
  return answer.Id;
}

export async function createCommand(context: CliContext): Promise<number> {
  context.print(`${await create(context)}\n`);
  return 0;
}

/** Attach before start, so that the first byte is seen; then the exit code of the container is ours. */
async function runAttached(context: CliContext, id: string): Promise<number> {
  const { client, flags } = context;
  const tty = flags.bool('tty');
  const stdin = flags.bool('interactive');
  if (tty && stdin && !process.stdin.isTTY) {
    throw new ExitWith(1, 'the input device is not a TTY');
  }
  const attached = await attachSession({ client, id, tty, stdin, detachKeys: flags.text('detach-keys') });
  const stopForwarding =
    tty || flags.text('sig-proxy') === 'false' ? () => undefined : forwardSignals(client, id);
  const { reply } = await containers.wait(client, id, {
    condition: flags.bool('rm') ? 'removed' : 'next-exit',
  });
  try {
    await containers.start(client, id);
    await attached.ended;
    return await exitStatus({ client, id, reply, canDetach: tty && stdin });
  } finally {
    stopForwarding();
  }
}

export async function runCommand(context: CliContext): Promise<number> {
  const { flags, client } = context;
  let id = '';
  try {
    if (flags.bool('detach') && flags.has('attach'))
      throw new ExitWith(1, 'conflicting options: cannot specify both --attach and --detach');
    if (flags.bool('rm') && !['', 'no'].includes(flags.text('restart'))) {
      throw new UsageError('conflicting options: cannot specify both --restart and --rm');
    }
    id = await create(context);
    if (!flags.bool('detach')) return await runAttached(context, id);
    await containers.start(client, id);
    context.print(`${id}\n`);
    return 0;
  } catch (error) {
    if (error instanceof ApiError)
      throw new ExitWith(
        exitCodeOf(error.message),
        `gantry: Error response from daemon: ${withHint(error.message, error.hint)}${HELP}`,
      );
    if (error instanceof ExitWith) throw error;
    throw new ExitWith(125, `gantry: ${errorMessage(error)}${HELP}`);
  }
}
