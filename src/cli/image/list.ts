import * as images from '#api/client/image.ts';
import type { ImageSummary } from '#api/generated-image.ts';
import { type CliContext, filtersOf } from '../context.ts';
import { renderTable } from '../output/table.ts';
import { compileTemplate, goJson } from '../output/template.ts';
import { humanDuration, humanSize } from '../values.ts';

type Row = Record<string, string>;

function rows(image: ImageSummary, noTrunc: boolean): Row[] {
  const digestOf = new Map(
    (image.RepoDigests ?? []).map((text) => [text.split('@')[0] ?? '', text.split('@')[1] ?? '']),
  );
  const tags = image.RepoTags ?? [];
  const names = tags.length > 0 ? tags : [...digestOf.keys()].map((name) => `${name}:<none>`);
  return (names.length > 0 ? names : ['<none>:<none>']).map((name) => {
    const colon = name.lastIndexOf(':');
    const repository = name.slice(0, colon);
    return {
      Repository: repository,
      Tag: name.slice(colon + 1),
      Digest: digestOf.get(repository) ?? '<none>',
      ID: noTrunc ? image.Id : image.Id.replace('sha256:', '').slice(0, 12),
      CreatedSince: image.Created > 0 ? `${humanDuration(Date.now() / 1000 - image.Created)} ago` : 'N/A',
      CreatedAt: new Date(image.Created * 1000).toISOString(),
      Size: humanSize(image.Size),
    };
  });
}

export async function imagesCommand(context: CliContext): Promise<number> {
  const { client, flags, args, print } = context;
  const filters = filtersOf([...flags.list('filter'), ...args.map((name) => `reference=${name}`)]);
  const found = await images.list(client, {
    all: flags.bool('all'),
    ...(filters !== undefined && { filters }),
  });
  const all = found.flatMap((image) => rows(image, flags.bool('no-trunc')));
  const format = flags.text('format');
  if (flags.bool('quiet')) for (const id of new Set(all.map((one) => one['ID']))) print(`${id}\n`);
  else if (format === 'json') for (const one of all) print(`${goJson(one)}\n`);
  else if (format !== '' && !format.startsWith('table')) {
    const render = compileTemplate(format);
    for (const one of all) print(`${render(one)}\n`);
  } else {
    const columns = [
      'Repository',
      'Tag',
      ...(flags.bool('digests') ? ['Digest'] : []),
      'ID',
      'CreatedSince',
      'Size',
    ];
    const heading = [
      'REPOSITORY',
      'TAG',
      ...(flags.bool('digests') ? ['DIGEST'] : []),
      'IMAGE ID',
      'CREATED',
      'SIZE',
    ];
    print(
      renderTable(
        heading,
        all.map((one) => columns.map((column) => one[column] ?? '')),
      ),
    );
  }
  return 0;
}
