import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Kernel, SpawnOptions } from '#host/kernel.ts';
import { createRecorder } from '#host/recorder.ts';
import { isEngineError } from '#base/errors.ts';
import { defaultApparmorProfile } from './apparmor.ts';

interface Host {
  readonly apparmor: boolean;
  readonly loaded?: readonly string[];
  readonly spawn?: (options: SpawnOptions) => void;
  readonly exitCode?: number;
}

function hostWith(host: Host): Pick<Kernel, 'system' | 'processes'> {
  const { kernel } = createRecorder();
  return {
    system: {
      ...kernel.system,
      facts: () => ({ ...kernel.system.facts(), apparmor: host.apparmor }),
      hasApparmorProfile: (name) => host.loaded?.includes(name) ?? false,
    },
    processes: {
      ...kernel.processes,
      spawn: (options) => {
        host.spawn?.(options);
        const exited = Promise.resolve({ exitCode: host.exitCode ?? 0 });
        return Promise.resolve({ pid: 2, startTime: 1, exited });
      },
    },
  };
}

const unused = (): never => assert.fail('nothing has to be started');

test('a host without AppArmor has no default profile, and a loaded one is used as it is', async () => {
  assert.equal(await defaultApparmorProfile(hostWith({ apparmor: false, spawn: unused }), '/none'), null);
  const loaded = hostWith({ apparmor: true, loaded: ['docker-default'], spawn: unused });
  assert.equal(await defaultApparmorProfile(loaded, '/none'), 'docker-default');
});

test('the profile is loaded by the parser, from its standard input', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'apparmor-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const parsers = [process.execPath];
  let policy = '';
  const accepting = hostWith({
    apparmor: true,
    spawn: ({ fds }) => {
      policy = readFileSync(fds?.get(0) ?? -1, 'utf8');
    },
  });
  assert.equal(await defaultApparmorProfile(accepting, folder, parsers), 'docker-default');
  assert.match(policy, /^profile docker-default flags=/);
  const refusing = defaultApparmorProfile(hostWith({ apparmor: true, exitCode: 1 }), folder, parsers);
  await assert.rejects(refusing, (error) => isEngineError(error, 'unavailable'));
  const missing = defaultApparmorProfile(hostWith({ apparmor: true, spawn: unused }), folder, []);
  await assert.rejects(missing, /without apparmor_parser docker-default cannot be loaded/);
  assert.deepEqual(readdirSync(folder), []);
});
