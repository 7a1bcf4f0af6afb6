import * as system from '#api/client/system.ts';
import type { CliContext } from '../context.ts';
import { compileTemplate, goJson, show } from '../output/template.ts';

const CLIENT_VERSION = '0.1.0';

export async function versionCommand(context: CliContext): Promise<number> {
  const { client, flags, print } = context;
  const Client = {
    Version: CLIENT_VERSION,
    ApiVersion: await client.version(),
    Os: process.platform,
    Arch: process.arch,
  };
  const Server = await system.version(client);
  const format = flags.text('format');
  if (format !== '') {
    print(
      `${format === 'json' ? goJson({ Client, Server }) : compileTemplate(format)({ Client, Server })}\n`,
    );
    return 0;
  }
  const block = (title: string, pairs: readonly (readonly [string, unknown])[]): string =>
    `${title}\n${pairs.map(([key, value]) => ` ${`${key}:`.padEnd(18)} ${show(value ?? '')}\n`).join('')}`;
  const os = `${Client.Os}/${Client.Arch}`;
  print(
    block('Client: gantry', [
      ['Version', Client.Version],
      ['API version', Client.ApiVersion],
      ['OS/Arch', os],
    ]),
  );
  print('\n');
  const range = `${Server.ApiVersion} (minimum version ${Server.MinAPIVersion})`;
  print(
    block(`Server: ${Server.Platform?.Name ?? ''}`, [
      ['Version', Server.Version],
      ['API version', range],
      ['OS/Arch', `${Server.Os}/${Server.Arch}`],
      ['Kernel', Server.KernelVersion],
    ]),
  );
  return 0;
}

export async function infoCommand(context: CliContext): Promise<number> {
  const info = (await system.info(context.client)) as unknown as Record<string, unknown>;
  const format = context.flags.text('format');
  if (format !== '') {
    context.print(`${format === 'json' ? goJson(info) : compileTemplate(format)(info)}\n`);
    return 0;
  }
  const shown = [
    'Containers',
    'ContainersRunning',
    'ContainersPaused',
    'ContainersStopped',
    'Images',
    'ServerVersion',
    'Driver',
    'LoggingDriver',
    'CgroupDriver',
    'CgroupVersion',
    'DefaultRuntime',
    'KernelVersion',
    'OperatingSystem',
    'OSType',
    'Architecture',
    'NCPU',
    'MemTotal',
    'Name',
    'ID',
    'DockerRootDir',
    'LiveRestoreEnabled',
  ];
  for (const key of shown) context.print(`${key}: ${show(info[key] ?? '')}\n`);
  const warnings = Array.isArray(info['Warnings']) ? info['Warnings'] : [];
  for (const warning of warnings) context.complain(`${String(warning)}\n`);
  return 0;
}
