import * as containers from '#api/client/container.ts';
import { ApiError } from '#api/client/errors.ts';
import * as images from '#api/client/image.ts';
import type { CliContext } from '../context.ts';
import { compileTemplate, goJson } from '../output/template.ts';

async function find(context: CliContext, name: string): Promise<unknown> {
  const type = context.command.flags.some((flag) => flag.long === 'type') ? context.flags.text('type') : '';
  const size = context.flags.bool('size');
  if (type !== 'image') {
    try {
      return await containers.inspect(context.client, name, size ? { size: true } : {});
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 404) || type === 'container') throw error;
    }
  }
  return images.inspect(context.client, name);
}

/** Inspects containers and images; what is missing is said, the rest is printed. */
export async function inspectCommand(context: CliContext): Promise<number> {
  const found: unknown[] = [];
  const missing: string[] = [];
  for (const name of context.args) {
    try {
      found.push(await find(context, name));
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 404)) throw error;
      missing.push(name);
    }
  }
  const format = context.flags.text('format');
  if (format === '') context.print(`${goJson(found, 4)}\n`);
  else {
    const render = format === 'json' ? (value: unknown) => goJson(value) : compileTemplate(format);
    for (const one of found) context.print(`${render(one)}\n`);
  }
  for (const name of missing) context.complain(`error: no such object: ${name}\n`);
  return missing.length > 0 ? 1 : 0;
}
