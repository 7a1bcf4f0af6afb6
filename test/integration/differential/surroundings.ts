/**
 * Cases that need something around the container: a terminal, hooks, namespaces of somebody else, an init.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RuntimeSpec, SpecHook } from '#oci/runtime-spec.ts';
import type { Case } from './cases.ts';
import { type Place, specOf, TERMINAL } from './bundle.ts';

const INIT = fileURLToPath(new URL('../../../dist/native/gantry-init', import.meta.url));
const BUSYBOX = '/bin/busybox';

/** Each leaves a line: which one, what the state on its standard input says, where it runs. */
function hook(at: Place, name: string, shell = BUSYBOX): SpecHook {
  const script = [
    'state=$(cat | tr -d " \\n\\t" | sed "s/.*\\"status\\":\\"\\([a-z]*\\)\\".*/\\1/")',
    `echo "${name} $state $(test -e /probe && echo inside || echo outside) $X $# $0"`,
  ].join('; ');
  const log = name === 'startContainer' ? '/hooks' : join(at.rootfs, 'hooks');
  return {
    path: shell,
    args: ['sh', '-c', `(${script}) >>${log}`, 'zero', 'one'],
    env: ['PATH=/bin:/usr/bin', 'X=1'],
  };
}

function withHooks(at: Place): RuntimeSpec {
  const names = [
    'prestart',
    'createRuntime',
    'createContainer',
    'startContainer',
    'poststart',
    'poststop',
  ] as const;
  const hooks = Object.fromEntries(names.map((name) => [name, [hook(at, name), hook(at, name)]]));
  return { ...specOf(at), hooks };
}

/** A process in namespaces of its own, which a container can join by path. */
async function withJoined(at: Place): Promise<RuntimeSpec> {
  const holder = spawn(
    'unshare',
    ['-n', '-i', '-u', '-C', 'sh', '-c', 'hostname joined; echo ready; exec sleep 60'],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  at.ends.push(() => holder.kill('SIGKILL'));
  await once(holder.stdout, 'data');
  const spec = specOf(at);
  const { hostname: _own, ...rest } = spec;
  const path = (name: string): string => `/proc/${holder.pid}/ns/${name}`;
  const namespaces = (spec.linux?.namespaces ?? []).map((entry) => {
    const name = { network: 'net', ipc: 'ipc', uts: 'uts' }[entry.type as string];
    return name === undefined ? entry : { ...entry, path: path(name) };
  });
  const joined = [...namespaces, { type: 'cgroup' as const, path: path('cgroup') }];
  return { ...rest, linux: { ...spec.linux, sysctl: {}, namespaces: joined } };
}

function withProcess(at: Place, change: Partial<NonNullable<RuntimeSpec['process']>>): RuntimeSpec {
  const spec = specOf(at);
  if (spec.process === undefined) throw new Error('a spec without a process');
  return { ...spec, process: { ...spec.process, ...change } };
}

function withInit(at: Place): RuntimeSpec {
  const args = ['/sbin/docker-init', '--', '/bin/sh', '/probe'];
  const spec = withProcess(at, { args });
  spec.mounts?.push({
    destination: '/sbin/docker-init',
    type: 'bind',
    source: INIT,
    options: ['bind', 'ro'],
  });
  return spec;
}

const AT_TERMINAL = { terminal: true, consoleSize: TERMINAL };

export const SURROUNDINGS: readonly Case[] = [
  { name: 'terminal', terminal: true, spec: (at) => withProcess(at, AT_TERMINAL) },
  {
    name: 'terminal of a user',
    terminal: true,
    spec: (at) => withProcess(at, { ...AT_TERMINAL, user: { uid: 1000, gid: 1000 } }),
  },
  {
    name: "terminal of the caller's size",
    terminal: true,
    spec: (at) => withProcess(at, { terminal: true }),
  },
  { name: 'hooks', spec: withHooks, more: (at) => readFileSync(join(at.rootfs, 'hooks'), 'utf8') },
  { name: 'namespaces by path', spec: withJoined },
  { name: 'init of the engine', spec: withInit },
];
