import * as containers from '#api/client/container.ts';
import { ApiError } from '#api/client/errors.ts';
import * as execs from '#api/client/exec.ts';
import { type CliContext, ExitWith, withHint } from '../context.ts';
import { exitCodeOf } from './run.ts';
import { runSession } from './stream.ts';

async function runExec(context: CliContext): Promise<number> {
  const { client, flags, args, environment } = context;
  const [name = '', ...command] = args;
  const container = await containers.inspect(client, name);
  const isDetached = flags.bool('detach');
  const tty = flags.bool('tty');
  const stdin = flags.bool('interactive') && !isDetached;
  if (tty && stdin && !process.stdin.isTTY) throw new ExitWith(1, 'the input device is not a TTY');
  const variables = flags.list('env').flatMap((item) => {
    if (item.includes('=')) return [item];
    const value = environment[item];
    return value === undefined ? [] : [`${item}=${value}`];
  });
  const id = await execs.create(client, container.Id ?? name, {
    ...{
      User: flags.text('user'),
      Privileged: flags.bool('privileged'),
      Tty: tty,
      Cmd: command,
      Env: variables,
    },
    ...{ WorkingDir: flags.text('workdir'), DetachKeys: flags.text('detach-keys') },
    ...{ AttachStdin: stdin, AttachStdout: !isDetached, AttachStderr: !isDetached },
  });
  if (isDetached) {
    await execs.startDetached(client, id, { Tty: tty });
    return 0;
  }
  const hijacked = await execs.startAttached(client, id, { Tty: tty });
  const resize = (h: number, w: number): Promise<void> => execs.resize(client, id, { h, w });
  await runSession({ hijacked, stdin, tty, resize });
  const state = await execs.inspect(client, id);
  return state.Running === true ? 0 : (state.ExitCode ?? 0);
}

export async function execCommand(context: CliContext): Promise<number> {
  try {
    return await runExec(context);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const code = exitCodeOf(error.message);
    throw new ExitWith(
      code === 125 ? 1 : code,
      `Error response from daemon: ${withHint(error.message, error.hint)}`,
    );
  }
}
