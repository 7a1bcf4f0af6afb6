import * as containers from '#api/client/container.ts';
import type { ContainerSummary } from '#api/generated-container.ts';
import { type CliContext, filtersOf } from '../context.ts';
import { renderTable } from '../output/table.ts';
import { compileTemplate, goJson } from '../output/template.ts';
import { humanDuration, humanSize } from '../values.ts';

type Row = Record<string, string>;

/** `0.0.0.0:8080->80/tcp, 90/tcp` */
function ports(container: ContainerSummary): string {
  return (container.Ports ?? [])
    .map((port) => {
      const inside = `${port.PrivatePort}/${port.Type}`;
      if (port.PublicPort === undefined || port.PublicPort === 0) return inside;
      const ip = port.IP?.includes(':') ? `[${port.IP}]` : (port.IP ?? '');
      return `${ip}:${port.PublicPort}->${inside}`;
    })
    .join(', ');
}

function row(container: ContainerSummary, noTrunc: boolean): Row {
  const id = container.Id ?? '';
  const command = container.Command ?? '';
  const shown = noTrunc || command.length <= 20 ? command : `${command.slice(0, 19)}…`;
  const created = container.Created ?? 0;
  return {
    ID: noTrunc ? id : id.slice(0, 12),
    Image: container.Image ?? '',
    Command: JSON.stringify(shown),
    CreatedAt: new Date(created * 1000)
      .toISOString()
      .replace('T', ' ')
      .replace(/\.\d+Z/, ' +0000 UTC'),
    RunningFor: `${humanDuration(Date.now() / 1000 - created)} ago`,
    Status: container.Status ?? '',
    State: container.State ?? '',
    Ports: ports(container),
    Names: (container.Names ?? []).map((name) => name.slice(1)).join(','),
    Labels: Object.entries(container.Labels ?? {})
      .map(([key, value]) => `${key}=${value}`)
      .join(','),
    Mounts: (container.Mounts ?? []).map((mount) => mount.Name || mount.Source || '').join(','),
    Networks: Object.keys(container.NetworkSettings?.Networks ?? {}).join(','),
    Size: `${humanSize(container.SizeRw ?? 0)} (virtual ${humanSize(container.SizeRootFs ?? 0)})`,
  };
}

const COLUMNS = ['ID', 'Image', 'Command', 'RunningFor', 'Status', 'Ports', 'Names'];
const HEADINGS = ['CONTAINER ID', 'IMAGE', 'COMMAND', 'CREATED', 'STATUS', 'PORTS', 'NAMES'];

export async function listCommand(context: CliContext): Promise<number> {
  const { client, flags, print } = context;
  const last = flags.bool('latest') ? 1 : flags.has('last') ? flags.int('last') : -1;
  const filters = filtersOf(flags.list('filter'));
  const found = await containers.list(client, {
    all: flags.bool('all') || last > 0,
    ...(last > 0 && { limit: last }),
    ...(flags.bool('size') && { size: true }),
    ...(filters !== undefined && { filters }),
  });
  const rows = found.map((container) => row(container, flags.bool('no-trunc')));
  const format = flags.text('format');
  if (flags.bool('quiet')) for (const one of rows) print(`${one['ID']}\n`);
  else if (format === 'json') for (const one of rows) print(`${goJson(one)}\n`);
  else if (format !== '' && !format.startsWith('table')) {
    const render = compileTemplate(format);
    for (const one of rows) print(`${render(one)}\n`);
  } else {
    const size = flags.bool('size');
    const heading = size ? [...HEADINGS, 'SIZE'] : HEADINGS;
    const columns = size ? [...COLUMNS, 'Size'] : COLUMNS;
    print(
      renderTable(
        heading,
        rows.map((one) => columns.map((column) => one[column] ?? '')),
      ),
    );
  }
  return 0;
}
