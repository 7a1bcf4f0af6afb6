import {
  integer,
  list,
  long,
  map,
  named,
  object,
  text,
  truth,
  words,
  type RootShape,
  type Shape,
} from './go-shape.ts';

/* The documents of images, with the types that the reference has for them. */

const digest = named('digest.Digest', text);
const duration = named('time.Duration', integer);
const time = named('time.Time', text);
const marks = (type: string): Shape => named(type, map({ type: 'struct {}', json: 'object' }));

const platformMembers = {
  architecture: text,
  os: text,
  'os.version': text,
  'os.features': list(text),
  variant: text,
};

const descriptorMembers = {
  mediaType: text,
  digest,
  size: long,
  urls: list(text),
  annotations: map(text),
  platform: object('v1.Platform', platformMembers),
};

const descriptor = object('distribution.Descriptor', descriptorMembers);

const manifestMembers = {
  schemaVersion: integer,
  mediaType: text,
  config: descriptor,
  layers: list(descriptor),
};

const listMembers = {
  schemaVersion: integer,
  mediaType: text,
  manifests: list(
    object('manifestlist.ManifestDescriptor', {
      ...descriptorMembers,
      platform: object('manifestlist.PlatformSpec', { ...platformMembers, features: list(text) }),
    }),
  ),
};

export const dockerManifestShape: RootShape = {
  ...object('schema2.Manifest', manifestMembers),
  name: 'Manifest',
};

export const ociManifestShape: RootShape = {
  ...object('ocischema.unknownDocument', { ...manifestMembers, annotations: map(text) }),
  name: 'Manifest',
};

export const dockerListShape: RootShape = {
  ...object('manifestlist.ManifestList', listMembers),
  name: 'ManifestList',
};

export const ociIndexShape: RootShape = {
  ...object('manifestlist.unknownDocument', listMembers),
  name: 'ManifestList',
};

const healthcheck = object('v1.HealthcheckConfig', {
  Test: list(text),
  Interval: duration,
  Timeout: duration,
  StartPeriod: duration,
  StartInterval: duration,
  Retries: integer,
});

const defaults = object('container.Config', {
  Hostname: text,
  Domainname: text,
  User: text,
  AttachStdin: truth,
  AttachStdout: truth,
  AttachStderr: truth,
  ExposedPorts: marks('nat.PortSet'),
  Tty: truth,
  OpenStdin: truth,
  StdinOnce: truth,
  Env: list(text),
  Cmd: words,
  Healthcheck: healthcheck,
  ArgsEscaped: truth,
  Image: text,
  Volumes: marks('map[string]struct {}'),
  WorkingDir: text,
  Entrypoint: words,
  NetworkDisabled: truth,
  MacAddress: text,
  OnBuild: list(text),
  Labels: map(text),
  StopSignal: text,
  StopTimeout: integer,
  Shell: words,
});

const history = object('v1.History', {
  created: time,
  created_by: text,
  author: text,
  comment: text,
  empty_layer: truth,
});

export const imageShape: RootShape = {
  ...object('image.Image', {
    id: text,
    parent: named('image.ID', text),
    comment: text,
    created: time,
    container: text,
    container_config: defaults,
    docker_version: text,
    author: text,
    config: defaults,
    architecture: text,
    variant: text,
    os: text,
    Size: long,
    rootfs: object('image.RootFS', { type: text, diff_ids: list(named('layer.DiffID', text)) }),
    history: list(history),
    'os.version': text,
    'os.features': list(text),
  }),
  name: 'Image',
};

export const archiveListShape: RootShape = {
  ...list(
    object('tarexport.manifestItem', {
      Config: text,
      RepoTags: list(text),
      Layers: list(text),
      Parent: named('image.ID', text),
      LayerSources: named('map[layer.DiffID]distribution.Descriptor', map(descriptor)),
    }),
  ),
  name: '',
};
