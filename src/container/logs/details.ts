import type { ContainerRecord } from '../record.ts';

function regex(text: string | undefined): RegExp | null {
  if (text === undefined || text === '') return null;
  try {
    return new RegExp(text);
  } catch {
    return null;
  }
}

const words = (text: string | undefined): readonly string[] =>
  text === undefined || text === '' ? [] : text.split(',');

/**
 * What `--details` shows: the labels and variables that `--log-opt labels=`, `env=` and their regex forms
 * choose.
 */
export function logDetails(record: Pick<ContainerRecord, 'config' | 'hostConfig'>): string {
  const options = record.hostConfig.LogConfig.Config;
  const chosen = new Map<string, string>();
  const labels = new Set(words(options['labels']));
  const labelPattern = regex(options['labels-regex']);
  for (const [key, value] of Object.entries(record.config.Labels)) {
    if (labels.has(key) || labelPattern?.test(key) === true) chosen.set(key, value);
  }
  const names = new Set(words(options['env']));
  const envPattern = regex(options['env-regex']);
  for (const entry of record.config.Env) {
    const at = entry.indexOf('=');
    const key = at < 0 ? entry : entry.slice(0, at);
    if (at >= 0 && (names.has(key) || envPattern?.test(key) === true)) chosen.set(key, entry.slice(at + 1));
  }
  return [...chosen]
    .map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(value).replaceAll('%20', '+')}`)
    .sort()
    .join(',');
}
