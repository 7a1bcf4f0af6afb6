import * as containers from '#api/client/container.ts';
import type { CliContext } from '../context.ts';
import { copyOutput } from './stream.ts';

export async function logsCommand(context: CliContext): Promise<number> {
  const { client, flags, args } = context;
  const container = await containers.inspect(client, args[0] ?? '');
  const text = (flag: string, name = flag): Record<string, string> =>
    flags.has(flag) ? { [name]: flags.text(flag) } : {};
  const response = await containers.logs(client, container.Id ?? '', {
    ...{ stdout: true, stderr: true, follow: flags.bool('follow'), timestamps: flags.bool('timestamps') },
    ...{ details: flags.bool('details') },
    ...text('since'),
    ...text('until'),
    ...text('tail'),
  });
  await copyOutput({ output: response.body, raw: container.Config?.Tty ?? false });
  return 0;
}
