import * as messages from '#api/messages.ts';
import type { Healthcheck as ImageHealthcheck, ImageDefaults } from '#oci/image-config.ts';
import type { ContainerConfig, Healthcheck } from '../record.ts';
import { invalid, mapFrom, type Fields } from './fields.ts';
import { exposedPorts } from './ports.ts';
import { parseSignal } from '#base/signals.ts';

/** Fields of the config half of a create body: without any of them, there is no config. */
export const CONFIG_FIELDS: readonly string[] = (
  'Hostname Domainname User AttachStdin AttachStdout AttachStderr ExposedPorts Tty OpenStdin ' +
  'StdinOnce Env Cmd Healthcheck ArgsEscaped ' +
  'Image Volumes WorkingDir Entrypoint NetworkDisabled MacAddress OnBuild Labels StopSignal StopTimeout Shell'
).split(' ');

const MILLISECOND = 1_000_000;

function parseHealthcheck(fields: Fields | null): Healthcheck | null {
  if (fields === null) return null;
  const durations = { Interval: 0, Timeout: 0, StartPeriod: 0, StartInterval: 0 };
  for (const key of ['Interval', 'Timeout', 'StartPeriod', 'StartInterval'] as const) {
    durations[key] = fields.integer(key);
    if (durations[key] !== 0 && durations[key] < MILLISECOND)
      throw invalid(`${key} in Healthcheck cannot be less than 1ms`);
  }
  const retries = fields.integer('Retries');
  if (retries < 0) throw invalid('Retries in Healthcheck cannot be negative');
  return compactHealthcheck({ Test: fields.texts('Test') ?? [], ...durations, Retries: retries });
}

/** Zero values are left out, as the reference encodes them. */
function compactHealthcheck(full: Required<Healthcheck>): Healthcheck {
  return {
    ...(full.Test.length > 0 && { Test: full.Test }),
    ...(full.Interval > 0 && { Interval: full.Interval }),
    ...(full.Timeout > 0 && { Timeout: full.Timeout }),
    ...(full.StartPeriod > 0 && { StartPeriod: full.StartPeriod }),
    ...(full.StartInterval > 0 && { StartInterval: full.StartInterval }),
    ...(full.Retries > 0 && { Retries: full.Retries }),
  };
}

function mergeHealthcheck(own: Healthcheck | null, image: ImageHealthcheck | null): Healthcheck | undefined {
  const fromImage =
    image === null
      ? undefined
      : compactHealthcheck({
          Test: image.test,
          Interval: image.intervalNs,
          Timeout: image.timeoutNs,
          StartPeriod: image.startPeriodNs,
          StartInterval: image.startIntervalNs,
          Retries: image.retries,
        });
  if (own === null) return fromImage;
  return { ...fromImage, ...own };
}

/**
 * The container's own variables, then those of the image that it does not name. Entries without a name are
 * dropped.
 */
function mergeEnv(own: readonly string[] | null, image: readonly string[] | null): readonly string[] {
  const valid = (entry: string): boolean => entry !== '' && !entry.startsWith('=') && !entry.includes('\0');
  const mine = (own ?? []).filter(valid);
  const named = new Set(mine.map((entry) => entry.split('=', 1)[0]));
  return [...mine, ...(image ?? []).filter((entry) => valid(entry) && !named.has(entry.split('=', 1)[0]))];
}

function commandOf(
  fields: Fields,
  image: ImageDefaults,
): { Cmd: readonly string[] | null; Entrypoint: readonly string[] | null } {
  let entrypoint = fields.words('Entrypoint');
  let command = fields.words('Cmd');
  if (entrypoint === null || entrypoint.length === 0) {
    if (command === null || command.length === 0) command = image.cmd;
    if (entrypoint === null) entrypoint = image.entrypoint;
  }
  // `--entrypoint ""` arrives as one empty word: no entrypoint at all, not even the image's.
  if (entrypoint?.length === 1 && entrypoint[0] === '') entrypoint = null;
  if ((entrypoint ?? []).length === 0 && (command ?? []).length === 0) throw invalid(messages.noCommand());
  return { Cmd: command, Entrypoint: entrypoint };
}

function workingDirectory(own: string, image: string): string {
  const wish = own === '' ? image : own;
  if (wish === '') return '';
  if (!wish.startsWith('/')) throw invalid(messages.relativeWorkingDirectory(wish));
  return cleanPath(wish);
}

/** Lexical: no `.`, `..`, doubled or trailing slash. */
export function cleanPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `/${parts.join('/')}`;
}

/**
 * The config of a create body over an image's defaults. Errors: `invalidArgument` with the reference's
 * texts.
 */
export function mergeConfig(fields: Fields, image: ImageDefaults, hostname: string): ContainerConfig {
  const stopSignal = fields.text('StopSignal') || image.stopSignal;
  if (stopSignal !== '' && parseSignal(stopSignal) === null)
    throw invalid(messages.invalidSignal(stopSignal));
  const healthcheck = mergeHealthcheck(parseHealthcheck(fields.object('Healthcheck')), image.healthcheck);
  const ports = exposedPorts(image.exposedPorts, fields.keys('ExposedPorts'));
  const volumes = [...new Set([...(image.volumes ?? []), ...(fields.keys('Volumes') ?? [])])];
  const stopTimeout = fields.optionalInteger('StopTimeout') ?? image.stopTimeoutSeconds;
  const shell = fields.texts('Shell') ?? image.shell;
  const macAddress = fields.text('MacAddress');
  const { Cmd, Entrypoint } = commandOf(fields, image);
  return {
    Hostname: fields.text('Hostname') || hostname,
    Domainname: fields.text('Domainname'),
    User: fields.text('User') || image.user,
    AttachStdin: fields.flag('AttachStdin'),
    AttachStdout: fields.flag('AttachStdout'),
    AttachStderr: fields.flag('AttachStderr'),
    ...(ports !== undefined && { ExposedPorts: ports }),
    Tty: fields.flag('Tty'),
    OpenStdin: fields.flag('OpenStdin'),
    StdinOnce: fields.flag('StdinOnce'),
    Env: mergeEnv(fields.texts('Env'), image.env),
    Cmd,
    ...(healthcheck !== undefined && { Healthcheck: healthcheck }),
    ...(image.argsEscaped && { ArgsEscaped: true }),
    Image: fields.text('Image'),
    Volumes: volumes.length === 0 ? null : mapFrom(volumes.map((path) => [path, {}])),
    WorkingDir: workingDirectory(fields.text('WorkingDir'), image.workingDir),
    Entrypoint,
    ...(fields.flag('NetworkDisabled') && { NetworkDisabled: true }),
    ...(macAddress !== '' && { MacAddress: macAddress }),
    OnBuild: fields.texts('OnBuild'),
    Labels: mapFrom([
      ...Object.entries(image.labels ?? {}),
      ...Object.entries(fields.textMap('Labels') ?? {}),
    ]),
    ...(stopSignal !== '' && { StopSignal: stopSignal }),
    ...(stopTimeout !== null && { StopTimeout: stopTimeout }),
    ...(shell !== null && shell.length > 0 && { Shell: shell }),
  };
}
