import * as messages from '#api/messages.ts';
import { EngineError } from '#base/errors.ts';
import type { ContainerSettings } from '../ports.ts';
import type { LogConfig } from '../record.ts';
import { invalid, mapFrom, type Fields } from './fields.ts';

const JSON_FILE_OPTIONS: readonly string[] = [
  'max-file',
  'max-size',
  'compress',
  'labels',
  'labels-regex',
  'env',
  'env-regex',
  'tag',
  'mode',
  'max-buffer-size',
];

/** Drivers of the reference that this engine does not have. */
const ABSENT: readonly string[] = [
  'local',
  'syslog',
  'journald',
  'gelf',
  'fluentd',
  'awslogs',
  'splunk',
  'gcplogs',
  'etwlogs',
];

/**
 * Errors: `invalidArgument` with the reference's texts; `notImplemented` for drivers that only the
 * reference has.
 */
export function parseLogConfig(hostConfig: Fields, settings: ContainerSettings): LogConfig {
  const wish = hostConfig.object('LogConfig');
  const asked = wish?.text('Type') ?? '';
  const type = asked === '' ? settings.logDriver : asked;
  const own = wish?.textMap('Config') ?? {};
  const config = type === settings.logDriver ? { ...settings.logOptions, ...own } : own;
  checkLogging(type, config);
  return { Type: type, Config: mapFrom(Object.entries(config)) };
}

/** Of a container, or of the engine's configuration. Errors as above. */
export function checkLogging(type: string, config: Readonly<Record<string, string>>): void {
  if (ABSENT.includes(type)) {
    throw new EngineError(
      'notImplemented',
      `logging driver "${type}" is not available in this engine: use json-file or none`,
    );
  }
  if (type !== 'json-file' && type !== 'none') throw invalid(messages.unknownLogDriver(type));
  if (type === 'json-file') {
    for (const key of Object.keys(config)) {
      if (!JSON_FILE_OPTIONS.includes(key)) throw invalid(messages.unknownLogOption(key, 'json-file'));
    }
  }
}

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  t: 1024 ** 4,
};

/** Rotation of a json-file log. Errors (at start, as in the reference): `invalidArgument`. */
export function logRotation(config: LogConfig): {
  readonly maxSizeBytes?: number;
  readonly maxFiles?: number;
} {
  const size = config.Config['max-size'];
  const files = config.Config['max-file'];
  const match = size === undefined ? null : /^(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?$/i.exec(size);
  if (size !== undefined && match === null && size !== '-1') throw invalid(`invalid size: '${size}'`);
  if (files !== undefined && !/^\d+$/.test(files))
    throw invalid(`strconv.Atoi: parsing "${files}": invalid syntax`);
  if (files !== undefined && Number(files) < 1) throw invalid('max-file cannot be less than 1');
  if (files !== undefined && Number(files) > 1 && match === null)
    throw invalid('max-file cannot be set without max-size');
  if (match === null) return {};
  const bytes = Math.floor(Number(match[1]) * (UNITS[(match[2] ?? '').toLowerCase()] ?? 1));
  return { maxSizeBytes: bytes, maxFiles: files === undefined ? 1 : Number(files) };
}
