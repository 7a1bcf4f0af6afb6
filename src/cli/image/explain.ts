import type {
  ConfigDifference,
  FileDifference,
  ImageDifference,
  ImageExplanation,
} from '#api/gantry-images.ts';
import * as images from '#api/client/image.ts';
import type { CliContext } from '../context.ts';
import { compileFormat } from '../output/format.ts';
import { renderTable } from '../output/table.ts';
import { humanSize } from '../values.ts';

const COMMAND_WIDTH = 60;

function short(id: string): string {
  return id.replace('sha256:', '').slice(0, 12);
}

function cut(text: string, width: number): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length <= width ? line : `${line.slice(0, width - 1)}…`;
}

function wasteText(bytes: number | null): string {
  return bytes === null ? '?' : humanSize(bytes);
}

function explanationText(explanation: ImageExplanation, noTrunc: boolean): string {
  const { Layers, Containers, Children, RepoTags } = explanation;
  const rows = Layers.map((layer, index) => [
    String(index + 1),
    noTrunc ? layer.DiffID : short(layer.DiffID),
    humanSize(layer.Size),
    humanSize(layer.BlobSize),
    wasteText(layer.WastedBytes),
    layer.SharedWith.length === 0 ? '-' : cut(layer.SharedWith.join(', '), noTrunc ? 10_000 : 40),
    cut(layer.CreatedBy || layer.Comment || '-', noTrunc ? 10_000 : COMMAND_WIDTH),
  ]);
  const wasted = Layers.flatMap((layer, index) =>
    layer.WastedFiles.map((file) => ({ ...file, layer: index + 1 })),
  ).sort((a, b) => b.Size - a.Size);
  const users = Containers.map(({ Id, Running }) => `${short(Id)}${Running ? ' (running)' : ''}`);
  const facts: (readonly [string, string])[] = [
    ['Image', `${short(explanation.Id)}${RepoTags.length === 0 ? '' : ` ${RepoTags.join(', ')}`}`],
    ['Size', `${humanSize(explanation.Size)}, of it ${humanSize(explanation.UniqueSize)} in no other image`],
    ['Wasted', `${wasteText(explanation.WastedBytes)} in files that a later layer removes or replaces`],
    ['Containers', users.length === 0 ? 'none' : users.join(', ')],
    ...(Children.length === 0 ? [] : ([['Children', Children.join(', ')]] as const)),
  ];
  return [
    facts.map(([name, value]) => `${`${name}:`.padEnd(12)}${value}\n`).join(''),
    Layers.length === 0 ? '\nNo layers.\n' : '\n',
    Layers.length === 0
      ? ''
      : renderTable(['#', 'LAYER', 'SIZE', 'STORED', 'WASTED', 'SHARED WITH', 'CREATED BY'], rows),
    wasted.length === 0 ? '' : '\nStored in vain:\n',
    ...wasted
      .slice(0, 10)
      .map((file) => `  ${humanSize(file.Size).padStart(8)}  layer ${file.layer}  ${file.Path}\n`),
  ].join('');
}

export async function explainCommand({ client, flags, args, print }: CliContext): Promise<number> {
  const show = compileFormat(flags.text('format'), (explanation: ImageExplanation) =>
    explanationText(explanation, flags.bool('no-trunc')),
  );
  print(show(await images.explain(client, args[0] ?? '')));
  return 0;
}

function configLine({ Field, Before, After }: ConfigDifference): string {
  return `  ${Field}: ${JSON.stringify(Before)} -> ${JSON.stringify(After)}\n`;
}

function fileLine({ Kind, Path, Size }: FileDifference): string {
  return `${'CAD'.charAt(Kind)} ${Path}${Size === 0 ? '' : ` (${humanSize(Size)})`}\n`;
}

function differenceText({ Before, After, SharedLayers, Config, Files }: ImageDifference): string {
  const files = Files ?? [];
  const layers = `${SharedLayers} layer${SharedLayers === 1 ? '' : 's'} shared`;
  return [
    `${short(Before.Id)} (${humanSize(Before.Size)}) -> ${short(After.Id)} (${humanSize(After.Size)}), ${layers}\n`,
    Config.length > 0 ? `Config:\n${Config.map(configLine).join('')}` : '',
    ...files.map(fileLine),
    Config.length === 0 && files.length === 0 ? 'No difference in configuration or files.\n' : '',
  ].join('');
}

export async function imageDiffCommand({ client, flags, args, print }: CliContext): Promise<number> {
  const [before = '', after = ''] = args;
  const show = compileFormat(flags.text('format'), differenceText);
  print(show(await images.diff(client, before, after)));
  return 0;
}
