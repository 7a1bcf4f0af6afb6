import { readFileSync } from 'node:fs';
import { errorCode, errorMessage } from '#base/errors.ts';
import { parseJson } from '#base/json.ts';
import { LIMITS } from '#base/limits.ts';
import type { SpecResources } from '#oci/runtime-spec.ts';
import { readResourceUpdate, updateResources } from '#runtime/resource-update.ts';
import { readJsonFile } from './bundle.ts';
import type { Context } from './context.ts';
import { containerId } from './context.ts';
import type { FlagValues } from './flags.ts';
import { Failure } from './messages.ts';
import { refuseTop } from './pause.ts';
import { statusOf } from './state.ts';

const UNITS = 'bkmgt';
const STEP = 1024;

/** `536870912`, `512m`, `512MiB`; -1 for none. */
export function byteCount(text: string, flag: string): number {
  const [, value, unit = ''] = /^(-?\d+(?:\.\d+)?) ?([bkmgt]?)i?b?$/i.exec(text) ?? [];
  const power = unit === '' ? 0 : UNITS.indexOf(unit.toLowerCase());
  const bytes = Number(value) * STEP ** power;
  if (value === undefined || !Number.isSafeInteger(bytes) || bytes < -1) {
    throw new Failure(`invalid value for ${flag}: invalid size: '${text}'`);
  }
  return bytes;
}

function resourcesOfFlags(flags: FlagValues): SpecResources {
  const cpu = {
    shares: flags.number('cpu-share'),
    quota: flags.number('cpu-quota'),
    period: flags.number('cpu-period'),
    realtimePeriod: flags.number('cpu-rt-period'),
    realtimeRuntime: flags.number('cpu-rt-runtime'),
    cpus: flags.text('cpuset-cpus'),
    mems: flags.text('cpuset-mems'),
  };
  const bytes = (name: string): number | undefined => {
    const text = flags.text(name) ?? '';
    return text === '' ? undefined : byteCount(text, name);
  };
  const memory = {
    limit: bytes('memory'),
    reservation: bytes('memory-reservation'),
    swap: bytes('memory-swap'),
  };
  const [pids, weight] = [flags.number('pids-limit'), flags.number('blkio-weight')];
  const given = { cpu, memory, ...(pids && { pids: { limit: pids } }), blockIO: { weight } };
  // Members without a value fall away in JSON.
  return readResourceUpdate(JSON.parse(JSON.stringify(given)));
}

function wantedResources(flags: FlagValues): SpecResources {
  const file = flags.text('resources') ?? '';
  if (file === '') return resourcesOfFlags(flags);
  try {
    if (file !== '-') return readResourceUpdate(readJsonFile(file, 'resources'));
    const text = readFileSync(0, 'utf8');
    if (text.length > LIMITS.ociSpecBytes) throw new Failure('resources: too large');
    return readResourceUpdate(parseJson(text, 'resources'));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') throw new Failure(`open ${file}: no such file or directory`);
    throw error;
  }
}

export async function update(context: Context): Promise<void> {
  const { kernel, store, flags } = context;
  const id = containerId(context);
  store.get(id);
  const changed = wantedResources(flags);
  await store.locked(id, async (saved) => {
    if (statusOf(kernel, saved) === 'stopped') throw new Failure('container not running');
    refuseTop(saved.cgroup);
    const known = saved.spec.linux?.resources ?? {};
    try {
      await updateResources(kernel.cgroups(), saved.cgroup, { changed, known });
    } catch (error) {
      throw new Failure(`failed to update container resources: ${errorMessage(error)}`, 1, { cause: error });
    }
    const resources = {
      ...known,
      ...changed,
      memory: { ...known.memory, ...changed.memory },
      cpu: { ...known.cpu, ...changed.cpu },
    };
    store.save({ ...saved, spec: { ...saved.spec, linux: { ...saved.spec.linux, resources } } });
  });
}
