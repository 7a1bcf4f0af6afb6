import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorMessage } from '#base/errors.ts';
import type { JsonObject } from '#base/json.ts';
import { EMPTY_DEFAULTS, type ImageDefaults } from '#oci/image-config.ts';
import { checkBody, normalizeContainer, type NormalizedContainer } from './normalize.ts';
import type { ContainerSettings, MachineFacts } from './ports.ts';

const FACTS: MachineFacts = {
  cpus: 2,
  cgroupVersion: 1,
  hasBlkioWeight: false,
  hostname: 'machine',
  platform: { os: 'linux', architecture: 'amd64' },
  bootId: 'boot',
  spec: { arch: 'x64', kernelVersion: '6.1.0', capabilities: [], extraMaskedPaths: [] },
};
const SETTINGS: ContainerSettings = {
  dataRoot: '/data',
  execRoot: '/exec',
  cgroupParent: '/docker',
  runtimes: ['runc'],
  defaultRuntime: 'runc',
  logDriver: 'json-file',
  logOptions: {},
  dns: [],
  dnsSearch: [],
  dnsOptions: [],
  initPath: null,
};
const BUSYBOX: ImageDefaults = { ...EMPTY_DEFAULTS, cmd: ['sh'], env: ['PATH=/bin'] };

function normalize(body: JsonObject, image = BUSYBOX): NormalizedContainer & { warnings: string[] } {
  const warnings: string[] = [];
  const checked = checkBody(body, { facts: FACTS, settings: SETTINGS, apiVersion: '1.51', warnings });
  return {
    ...normalizeContainer(checked, image, { shortId: 'abcdefabcdef', machineHostname: 'machine' }),
    warnings,
  };
}

function refused(body: JsonObject): string {
  try {
    normalize(body);
  } catch (error) {
    return errorMessage(error);
  }
  return '';
}

const host = (hostConfig: JsonObject): JsonObject => ({ Image: 'busybox', HostConfig: hostConfig });

test('the smallest body gets the defaults that inspect shows', () => {
  const { config, hostConfig, path, args, networks } = normalize({ Image: 'busybox' });
  assert.equal(path, 'sh');
  assert.deepEqual(args, []);
  assert.deepEqual(config.Env, ['PATH=/bin']);
  assert.equal(config.Hostname, 'abcdefabcdef');
  assert.equal(config.Volumes, null);
  assert.equal(hostConfig.NetworkMode, 'bridge');
  assert.equal(hostConfig.ShmSize, 67_108_864);
  assert.equal(hostConfig.CgroupnsMode, 'host');
  assert.equal(hostConfig.IpcMode, 'private');
  assert.equal(hostConfig.PidsLimit, null);
  assert.equal(hostConfig.MemorySwappiness, null);
  assert.equal(hostConfig.OomKillDisable, false);
  assert.equal(hostConfig.MaskedPaths?.length, 12);
  assert.deepEqual(Object.keys(networks), ['bridge']);
});

test('commands merge as the reference does', () => {
  const image: ImageDefaults = { ...BUSYBOX, entrypoint: ['/init'], cmd: ['default'] };
  const words = (body: JsonObject): string[] => {
    const { path, args } = normalize({ Image: 'busybox', ...body }, image);
    return [path, ...args];
  };
  assert.deepEqual(words({}), ['/init', 'default']);
  assert.deepEqual(words({ Cmd: ['own'] }), ['/init', 'own']);
  assert.deepEqual(words({ Entrypoint: ['/bin/echo'], Cmd: ['a'] }), ['/bin/echo', 'a']);
  assert.deepEqual(words({ Entrypoint: ['/bin/echo'] }), ['/bin/echo']);
  assert.deepEqual(words({ Entrypoint: [''], Cmd: ['echo', 'x'] }), ['echo', 'x']);
  assert.equal(refused({ Image: 'busybox', Cmd: [], Entrypoint: [''] }), 'no command specified');
});

test('own variables go first, malformed ones are dropped', () => {
  assert.deepEqual(normalize({ Image: 'busybox', Env: ['A=1', '=x', 'PATH=/own', ''] }).config.Env, [
    'A=1',
    'PATH=/own',
  ]);
  assert.deepEqual(normalize({ Image: 'busybox', Env: ['A=1'] }).config.Env, ['A=1', 'PATH=/bin']);
});

test('recorded refusals', () => {
  const cases: readonly (readonly [JsonObject, string])[] = [
    [{}, 'config cannot be empty in order to create a container'],
    [{ Image: 5 }, 'invalid JSON: json: cannot unmarshal number into Go struct field .Image of type string'],
    [host({ Memory: 1000 }), 'Minimum memory limit allowed is 6MB'],
    [
      host({ MemorySwap: 67_108_864 }),
      'You should always set the Memory limit when using Memoryswap limit, see usage',
    ],
    [
      host({ Memory: 67_108_864, MemorySwap: 33_554_432 }),
      'Minimum memoryswap limit should be larger than memory limit, see usage',
    ],
    [
      host({ NanoCpus: 1e9, CpuQuota: 1000 }),
      'Conflicting options: Nano CPUs and CPU Quota cannot both be set',
    ],
    [host({ CpusetCpus: '99' }), 'Requested CPUs are not available - requested 99, available: 0-1'],
    [host({ CpusetCpus: 'a' }), 'Invalid value a for cpuset cpus: invalid format: a'],
    [
      host({ CpuPeriod: 10 }),
      'CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)',
    ],
    [host({ CapAdd: ['nosuch'] }), 'invalid CapAdd: unknown capability: "CAP_NOSUCH"'],
    [host({ SecurityOpt: ['nosuch=1'] }), 'invalid --security-opt 2: "nosuch=1"'],
    [
      host({ RestartPolicy: { Name: 'always', MaximumRetryCount: 3 } }),
      "invalid restart policy: maximum retry count can only be used with 'on-failure'",
    ],
    [
      host({ RestartPolicy: { Name: 'x' } }),
      "invalid restart policy: unknown policy 'x'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'",
    ],
    [
      host({ LogConfig: { Type: 'bogus' } }),
      'error looking up logging plugin bogus: plugin "bogus" not found',
    ],
    [
      host({ LogConfig: { Type: 'json-file', Config: { nosuch: '1' } } }),
      "unknown log opt 'nosuch' for json-file log driver",
    ],
    [host({ IpcMode: 'bogus' }), 'invalid IPC mode: bogus'],
    [host({ Runtime: 'nosuch' }), 'unknown or invalid runtime name: nosuch'],
    [host({ Isolation: 'hyperv' }), "invalid isolation (hyperv): linux only supports 'default'"],
    [
      host({ Annotations: { '': 'x' } }),
      'invalid Annotations: the empty string is not permitted as an annotation key',
    ],
    [
      { Image: 'busybox', Hostname: 'x', HostConfig: { NetworkMode: 'container:dup' } },
      'conflicting options: hostname and the network mode',
    ],
    [
      { Image: 'busybox', Hostname: 'x', HostConfig: { UTSMode: 'host' } },
      'conflicting options: hostname and the UTS mode',
    ],
    [
      { Image: 'busybox', WorkingDir: 'rel' },
      "the working directory 'rel' is invalid, it needs to be an absolute path",
    ],
    [{ Image: 'busybox', StopSignal: 'NOPE' }, 'invalid signal: NOPE'],
    [
      { Image: 'busybox', Healthcheck: { Interval: 1000 } },
      'Interval in Healthcheck cannot be less than 1ms',
    ],
  ];
  for (const [body, text] of cases) assert.equal(refused(body), text);
});

test('what the kernel cannot do is a warning', () => {
  const { warnings, hostConfig } = normalize(host({ BlkioWeight: 500, KernelMemory: 10_000_000 }));
  assert.deepEqual(warnings, [
    'Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.',
  ]);
  assert.equal(hostConfig.BlkioWeight, 0);
});

test('names such as __proto__ are ordinary labels', () => {
  const labels = JSON.parse('{"__proto__":"x","constructor":"y"}') as JsonObject;
  const { config } = normalize({ Image: 'busybox', Labels: labels });
  assert.equal(JSON.stringify(config.Labels), '{"__proto__":"x","constructor":"y"}');
});

test('memory doubles into swap, old clients get a shareable IPC namespace', () => {
  assert.equal(normalize(host({ Memory: 67_108_864 })).hostConfig.MemorySwap, 134_217_728);
  const checked = checkBody(
    { Image: 'x' },
    { facts: FACTS, settings: SETTINGS, apiVersion: '1.39', warnings: [] },
  );
  assert.equal(checked.hostConfig.IpcMode, 'shareable');
});
