import type { ImageProgress } from './image-service.ts';

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
const WIDTH = 50;

/** Four significant digits and a decimal unit, `2.065MB`, as the reference writes sizes. */
export function humanSize(sizeBytes: number): string {
  let value = sizeBytes;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${Number(value.toPrecision(4))}${UNITS[unit]}`;
}

/** `[==>      ]  43.52kB/2.065MB`: what clients show that draw nothing themselves. */
export function progressBar(current: number, total: number): string {
  const now = humanSize(current).padStart(8);
  if (total <= 0) return now;
  const filled = Math.min(WIDTH, Math.floor(Math.trunc((current / total) * 100) / 2));
  const bar = `[${'='.repeat(filled)}>${' '.repeat(WIDTH - filled)}]`;
  return current > total ? `${bar} ${now}` : `${bar} ${now}/${humanSize(total)}`;
}

/** A line about something that has a name; without numbers it says that a step begins or ended. */
export function stepLine(id: string, status: string): ImageProgress {
  return { status, progressDetail: {}, id };
}

export function amountLine(
  id: string,
  status: string,
  of: { readonly current: number; readonly total: number },
): ImageProgress {
  const { current, total } = of;
  return { status, progressDetail: { current, total }, progress: progressBar(current, total), id };
}
