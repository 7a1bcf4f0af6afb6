import { readdir, stat, lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError, errorCode } from '#base/errors.ts';
import type { SpecDevice, SpecDeviceCgroup } from '#oci/runtime-spec.ts';
import type { DeviceInput } from '#runtime/spec.ts';
import type { DeviceMapping, HostConfig } from '../record.ts';
import { cleanPath } from '../normalize/config.ts';

/** Linux's packing of a device number into stat's 64 bits. */
function major(rdev: number): number {
  return Number((BigInt(rdev) >> 8n) & 0xfffn) + Number((BigInt(rdev) >> 32n) & 0xfffff000n);
}

function minor(rdev: number): number {
  return Number(BigInt(rdev) & 0xffn) + Number((BigInt(rdev) >> 12n) & 0xffffff00n);
}

/** Never copied from the host's /dev into a privileged container: these are the container's own. */
const OWN_NAMES: ReadonlySet<string> = new Set([
  'pts',
  'shm',
  'fd',
  'mqueue',
  '.lxc',
  '.lxd-mounts',
  '.udev',
  'console',
]);

async function nodeAt(path: string, target: string): Promise<SpecDevice | null> {
  const facts = await stat(path);
  const type = facts.isCharacterDevice() ? 'c' : facts.isBlockDevice() ? 'b' : null;
  if (type === null) return null;
  return {
    path: target,
    type,
    major: major(facts.rdev),
    minor: minor(facts.rdev),
    fileMode: facts.mode & 0o7777,
    uid: facts.uid,
    gid: facts.gid,
  };
}

async function nodesBelow(directory: string, target: string): Promise<SpecDevice[]> {
  const nodes: SpecDevice[] = [];
  for (const name of (await readdir(directory)).sort()) {
    const path = join(directory, name);
    const facts = await lstat(path).catch(() => null);
    if (facts === null) continue;
    if (facts.isDirectory() && !OWN_NAMES.has(name))
      nodes.push(...(await nodesBelow(path, join(target, name))));
    else if (facts.isCharacterDevice() || facts.isBlockDevice()) {
      const node = OWN_NAMES.has(name) ? null : await nodeAt(path, join(target, name)).catch(() => null);
      if (node !== null) nodes.push(node);
    }
  }
  return nodes;
}

function missing(device: DeviceMapping, reason: string): EngineError {
  // Of this kind, since the docker CLI makes exit code 127 of the text.
  return new EngineError(
    'invalidArgument',
    `error gathering device information while adding custom device "${device.PathOnHost}": ${reason}`,
  );
}

async function mapped(
  device: DeviceMapping,
): Promise<{ nodes: readonly SpecDevice[]; rules: readonly SpecDeviceCgroup[] }> {
  const target = cleanPath(device.PathInContainer || device.PathOnHost);
  let nodes: SpecDevice[];
  try {
    const node = await nodeAt(device.PathOnHost, target);
    nodes = node === null ? await nodesBelow(device.PathOnHost, target) : [node];
  } catch (error) {
    throw missing(device, errorCode(error) === 'ENOENT' ? 'no such file or directory' : 'not a device node');
  }
  if (nodes.length === 0) throw missing(device, 'not a device node');
  const access = device.CgroupPermissions || 'rwm';
  return {
    nodes,
    rules: nodes.map((node) => ({
      allow: true,
      type: node.type,
      major: node.major,
      minor: node.minor,
      access,
    })),
  };
}

function parseRule(text: string): SpecDeviceCgroup {
  const match = /^([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})$/.exec(text);
  if (match === null)
    throw new EngineError('invalidArgument', `invalid device cgroup rule format: '${text}'`);
  const number = (word: string | undefined): number => (word === '*' ? -1 : Number(word));
  return {
    allow: true,
    type: match[1] ?? 'a',
    major: number(match[2]),
    minor: number(match[3]),
    access: match[4] ?? 'rwm',
  };
}

/**
 * Reads the host's device nodes that a container is given. Errors: `invalidArgument` with the reference's
 * texts.
 */
export async function readDevices(hostConfig: HostConfig): Promise<DeviceInput> {
  const [request] = hostConfig.DeviceRequests ?? [];
  if (request !== undefined) {
    const { Driver = '', Capabilities = [] } = request as { Driver?: string; Capabilities?: string[][] };
    const sets = Capabilities.map((set) => `[${set.join(' ')}]`).join(' ');
    throw new EngineError(
      'internal',
      `could not select device driver "${Driver}" with capabilities: [${sets}]`,
    );
  }
  const extra = (hostConfig.DeviceCgroupRules ?? []).map(parseRule);
  if (hostConfig.Privileged) return { nodes: await nodesBelow('/dev', '/dev'), rules: extra };
  const parts = await Promise.all((hostConfig.Devices ?? []).map(mapped));
  return {
    nodes: parts.flatMap((part) => part.nodes),
    rules: [...parts.flatMap((part) => part.rules), ...extra],
  };
}

/** Number of a host's block device, for throttling. */
export async function deviceNumber(
  path: string,
): Promise<{ readonly major: number; readonly minor: number }> {
  const facts = await stat(path).catch(() => {
    throw new EngineError('invalidArgument', `no such file or directory: ${path}`);
  });
  return { major: major(facts.rdev), minor: minor(facts.rdev) };
}
