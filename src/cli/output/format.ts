import { UsageError } from '../flags.ts';
import { compileTemplate, goJson } from './template.ts';

/**
 * How `--format` wants one value shown; nothing given: as `text` writes it. Whoever asks for what there is not
 * gets no other form instead. Errors: `UsageError`.
 */
export function compileFormat<T>(format: string, text: (value: T) => string): (value: T) => string {
  if (format === '') return text;
  if (format === 'json') return (value) => `${goJson(value)}\n`;
  if (!format.includes('{{') || /^table\s/.test(format)) {
    const name = JSON.stringify(format);
    throw new UsageError(
      `invalid argument ${name} for "--format" flag: must be json or a template such as '{{json .}}'`,
    );
  }
  const render = compileTemplate(format);
  return (value) => `${render(value)}\n`;
}
