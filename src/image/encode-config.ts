import type { Digest } from '#oci/digest.ts';
import type { Healthcheck, ImageDefaults } from '#oci/image-config.ts';
import type { Platform } from '#oci/platform.ts';

type Json = Record<string, unknown>;

const asSet = (keys: readonly string[] | null): Json | null =>
  keys === null ? null : Object.fromEntries([...keys].sort().map((key) => [key, {}]));

export function encodeHealthcheck(check: Healthcheck): Json {
  return {
    ...(check.test.length > 0 ? { Test: check.test } : {}),
    ...(check.intervalNs > 0 ? { Interval: check.intervalNs } : {}),
    ...(check.timeoutNs > 0 ? { Timeout: check.timeoutNs } : {}),
    ...(check.startPeriodNs > 0 ? { StartPeriod: check.startPeriodNs } : {}),
    ...(check.startIntervalNs > 0 ? { StartInterval: check.startIntervalNs } : {}),
    ...(check.retries > 0 ? { Retries: check.retries } : {}),
  };
}

/** `config` of an image as the API shows it; members in alphabetical order. */
export function encodeDefaults(defaults: ImageDefaults): Json {
  return {
    ...(defaults.argsEscaped ? { ArgsEscaped: true } : {}),
    Cmd: defaults.cmd,
    Entrypoint: defaults.entrypoint,
    Env: defaults.env,
    ...(defaults.exposedPorts === null ? {} : { ExposedPorts: asSet(defaults.exposedPorts) }),
    ...(defaults.healthcheck === null ? {} : { Healthcheck: encodeHealthcheck(defaults.healthcheck) }),
    Labels: defaults.labels,
    OnBuild: defaults.onBuild,
    ...(defaults.shell === null ? {} : { Shell: defaults.shell }),
    ...(defaults.stopSignal === '' ? {} : { StopSignal: defaults.stopSignal }),
    ...(defaults.stopTimeoutSeconds === null ? {} : { StopTimeout: defaults.stopTimeoutSeconds }),
    User: defaults.user,
    Volumes: asSet(defaults.volumes),
    WorkingDir: defaults.workingDir,
  };
}

/** With the names of the document. */
export interface NewHistory {
  readonly created: string;
  readonly created_by?: string;
  readonly author?: string;
  readonly comment?: string;
  readonly empty_layer?: boolean;
}

export interface NewConfig {
  readonly created: string;
  readonly author?: string;
  readonly comment: string;
  readonly dockerVersion: string;
  readonly platform: Platform;
  readonly defaults: ImageDefaults;
  readonly diffIds: readonly Digest[];
  readonly osVersion?: string;
  readonly osFeatures?: readonly string[];
  readonly history: readonly NewHistory[];
}

/** The document whose digest becomes the image's id. */
export function encodeImageConfig(config: NewConfig): Buffer {
  const { platform } = config;
  const document = {
    architecture: platform.architecture,
    ...(platform.variant === undefined ? {} : { variant: platform.variant }),
    ...((config.author ?? '') === '' ? {} : { author: config.author }),
    ...(config.comment === '' ? {} : { comment: config.comment }),
    config: encodeDefaults(config.defaults),
    created: config.created,
    docker_version: config.dockerVersion,
    history: config.history,
    os: platform.os,
    ...((config.osVersion ?? '') === '' ? {} : { 'os.version': config.osVersion }),
    ...((config.osFeatures ?? []).length === 0 ? {} : { 'os.features': config.osFeatures }),
    rootfs: { type: 'layers', diff_ids: config.diffIds },
  };
  return Buffer.from(JSON.stringify(document));
}
