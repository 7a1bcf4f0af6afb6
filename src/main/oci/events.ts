import { setTimeout as pause } from 'node:timers/promises';
import type { Context } from './context.ts';
import { containerId } from './context.ts';
import { Failure, print } from './messages.ts';
import { isAlive, type Saved, statusOf } from './state.ts';
import { containerStats } from './stats.ts';

const DEFAULT_INTERVAL_MS = 5000;
/** How late an end or a lack of memory is told. */
const LOOK_MS = 250;
const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  us: 0.001,
  ns: 0.000001,
};

/** `1m30s`, `250ms`. */
export function durationMs(text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|us|ns|s|m|h)/g)];
  const whole = parts.map(([part]) => part).join('');
  if (whole !== text || parts.length === 0) {
    throw new Failure(`invalid value ${JSON.stringify(text)} for flag -interval: parse error`);
  }
  return parts.reduce((sum, [, value, unit = '']) => sum + Number(value) * (UNITS_MS[unit] ?? 0), 0);
}

function event(type: string, id: string, data?: object): string {
  return `${JSON.stringify({ type, id, ...(data !== undefined && { data }) })}\n`;
}

async function follow({ kernel }: Context, saved: Saved, intervalMs: number): Promise<void> {
  const cgroups = kernel.cgroups();
  let kills = cgroups.oomKills(saved.cgroup);
  let nextMs = performance.now();
  while (isAlive(kernel.processes, saved)) {
    if (performance.now() >= nextMs) {
      await print(event('stats', saved.id, containerStats(cgroups, saved.cgroup)));
      nextMs = performance.now() + intervalMs;
    }
    await pause(Math.max(1, Math.min(LOOK_MS, nextMs - performance.now())));
    const now = cgroups.oomKills(saved.cgroup);
    for (; kills < now; kills++) await print(event('oom', saved.id));
  }
}

export async function events(context: Context): Promise<void> {
  const { kernel, store, flags } = context;
  const given = flags.text('interval');
  const intervalMs = given === undefined ? DEFAULT_INTERVAL_MS : durationMs(given);
  if (intervalMs <= 0) throw new Failure('duration interval must be greater than 0');
  const saved = store.get(containerId(context));
  const status = statusOf(kernel, saved);
  if (status === 'stopped') throw new Failure(`container with id ${saved.id} is not running`);
  if (flags.on('stats'))
    return print(event('stats', saved.id, containerStats(kernel.cgroups(), saved.cgroup)));
  await follow(context, saved, intervalMs);
}
