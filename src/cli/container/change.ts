import * as containers from '#api/client/container.ts';
import { type CliContext, forEachArgument } from '../context.ts';

/** The verbs that change containers one by one and print each name. */

export function stopCommand(context: CliContext): Promise<number> {
  const { client, flags } = context;
  const timeout = flags.has('timeout')
    ? { t: flags.int('timeout') }
    : flags.has('time')
      ? { t: flags.int('time') }
      : {};
  const signal = flags.has('signal') ? { signal: flags.text('signal') } : {};
  return forEachArgument(context, async (name) => {
    await containers.stop(client, name, { ...timeout, ...signal });
    return name;
  });
}

export function restartCommand(context: CliContext): Promise<number> {
  const { client, flags } = context;
  const timeout = flags.has('timeout')
    ? { t: flags.int('timeout') }
    : flags.has('time')
      ? { t: flags.int('time') }
      : {};
  return forEachArgument(context, async (name) => {
    await containers.restart(client, name, {
      ...timeout,
      ...(flags.has('signal') && { signal: flags.text('signal') }),
    });
    return name;
  });
}

export function killCommand(context: CliContext): Promise<number> {
  const { client, flags } = context;
  return forEachArgument(context, async (name) => {
    await containers.kill(client, name, flags.has('signal') ? { signal: flags.text('signal') } : {});
    return name;
  });
}

export function pauseCommand(context: CliContext): Promise<number> {
  return forEachArgument(context, async (name) => {
    await containers.pause(context.client, name);
    return name;
  });
}

export function unpauseCommand(context: CliContext): Promise<number> {
  return forEachArgument(context, async (name) => {
    await containers.unpause(context.client, name);
    return name;
  });
}

export function waitCommand(context: CliContext): Promise<number> {
  return forEachArgument(context, async (name) => {
    const { reply } = await containers.wait(context.client, name);
    return String((await reply).StatusCode);
  });
}

export function removeCommand(context: CliContext): Promise<number> {
  const { client, flags } = context;
  const options = { force: flags.bool('force'), v: flags.bool('volumes'), link: flags.bool('link') };
  return forEachArgument(context, async (name) => {
    await containers.remove(client, name.replace(/^\//, ''), options);
    return name;
  });
}

export async function renameCommand(context: CliContext): Promise<number> {
  await containers.rename(context.client, context.args[0] ?? '', context.args[1] ?? '');
  return 0;
}
