import * as containers from '#api/client/container.ts';
import { type CliContext, ExitWith, forEachArgument } from '../context.ts';
import { attachSession } from './attached-session.ts';
import { exitStatus } from './exit-status.ts';
import { forwardSignals } from './signals.ts';

async function startAttached(context: CliContext, name: string): Promise<number> {
  const { client, flags } = context;
  const container = await containers.inspect(client, name);
  const id = container.Id ?? name;
  const tty = container.Config?.Tty ?? false;
  const stdin = flags.bool('interactive') && (container.Config?.OpenStdin ?? false);
  const { ended } = await attachSession({ client, id, tty, stdin, detachKeys: flags.text('detach-keys') });
  const condition = container.HostConfig?.AutoRemove === true ? 'removed' : 'next-exit';
  const { reply } = await containers.wait(client, id, { condition });
  const stopForwarding = tty ? () => undefined : forwardSignals(client, id);
  try {
    await containers.start(client, id);
    await ended;
    return await exitStatus({ client, id, reply, canDetach: tty && stdin });
  } finally {
    stopForwarding();
  }
}

export async function startCommand(context: CliContext): Promise<number> {
  const { flags, args, client } = context;
  if (flags.bool('attach') || flags.bool('interactive')) {
    if (args.length > 1) throw new ExitWith(1, 'you cannot start and attach multiple containers at once');
    return startAttached(context, args[0] ?? '');
  }
  return forEachArgument(context, async (name) => {
    await containers.start(client, name);
    return name;
  });
}

export async function attachCommand(context: CliContext): Promise<number> {
  const { client, flags, args } = context;
  const container = await containers.inspect(client, args[0] ?? '');
  const id = container.Id ?? '';
  if (container.State?.Running !== true) {
    throw new ExitWith(1, 'cannot attach to a stopped container, start it first');
  }
  if (container.State.Paused === true)
    throw new ExitWith(1, 'cannot attach to a paused container, unpause it first');
  const tty = container.Config?.Tty ?? false;
  const stdin = !flags.bool('no-stdin') && (container.Config?.OpenStdin ?? false);
  const { reply } = await containers.wait(client, id, {});
  const { ended } = await attachSession({ client, id, tty, stdin, detachKeys: flags.text('detach-keys') });
  const stopForwarding =
    tty || flags.text('sig-proxy') === 'false' ? () => undefined : forwardSignals(client, id);
  try {
    await ended;
    return await exitStatus({ client, id, reply, canDetach: tty && stdin });
  } finally {
    stopForwarding();
  }
}
