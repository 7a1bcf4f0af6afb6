import { EngineError } from '#base/errors.ts';

/** One process as /proc tells. */
export interface ProcessFacts {
  readonly pid: number;
  readonly parent: number;
  readonly name: string;
  readonly command: string;
  readonly uid: number;
  readonly user: string;
  readonly state: string;
  /** Device number; 0: none. */
  readonly terminal: number;
  readonly cpuSeconds: number;
  /** Since the machine was started. */
  readonly startedSeconds: number;
  readonly virtualKib: number;
  readonly residentKib: number;
  readonly nice: number;
}

export interface ProcessClock {
  readonly nowMs: number;
  readonly uptimeSeconds: number;
}

export interface Column {
  readonly title: string;
  readonly value: (process: ProcessFacts, clock: ProcessClock) => string;
}

const two = (value: number): string => String(Math.floor(value)).padStart(2, '0');

function cpuTime({ cpuSeconds }: ProcessFacts): string {
  return `${two(cpuSeconds / 3600)}:${two((cpuSeconds / 60) % 60)}:${two(cpuSeconds % 60)}`;
}

function terminal({ terminal: device }: ProcessFacts): string {
  if (device === 0) return '?';
  const major = (device >> 8) & 0xfff;
  const minor = (device & 0xff) | ((device >> 12) & 0xfff00);
  return major >= 136 && major <= 143 ? `pts/${minor}` : `${major}/${minor}`;
}

/** The time of day for what started within a day, the date otherwise. */
function startTime(process: ProcessFacts, clock: ProcessClock): string {
  const ageMs = (clock.uptimeSeconds - process.startedSeconds) * 1000;
  const date = new Date(clock.nowMs - ageMs);
  if (ageMs < 86_400_000) return `${two(date.getHours())}:${two(date.getMinutes())}`;
  return `${date.toLocaleString('en', { month: 'short' })}${two(date.getDate())}`;
}

/** Percent of one processor over the whole life. */
function usage(process: ProcessFacts, clock: ProcessClock): number {
  const age = clock.uptimeSeconds - process.startedSeconds;
  return age <= 0 ? 0 : (process.cpuSeconds / age) * 100;
}

const column = (title: string, value: Column['value']): Column => ({ title, value });
const pid = column('PID', (p) => String(p.pid));
const command = (title: string): Column => column(title, (p) => p.command);

const KNOWN: ReadonlyMap<string, Column> = new Map([
  ['pid', pid],
  ['ppid', column('PPID', (p) => String(p.parent))],
  ['uid', column('UID', (p) => String(p.uid))],
  ['user', column('USER', (p) => p.user)],
  ['euser', column('EUSER', (p) => p.user)],
  ['args', command('COMMAND')],
  ['command', command('COMMAND')],
  ['cmd', command('CMD')],
  ['comm', column('COMMAND', (p) => p.name)],
  ['ucmd', column('CMD', (p) => p.name)],
  ['time', column('TIME', cpuTime)],
  ['cputime', column('TIME', cpuTime)],
  ['tty', column('TT', terminal)],
  ['tt', column('TT', terminal)],
  ['stat', column('STAT', (p) => p.state)],
  ['state', column('S', (p) => p.state)],
  ['s', column('S', (p) => p.state)],
  ['c', column('C', (p, clock) => String(Math.floor(usage(p, clock))))],
  ['stime', column('STIME', startTime)],
  ['start', column('STARTED', startTime)],
  ['pcpu', column('%CPU', (p, clock) => usage(p, clock).toFixed(1))],
  ['vsz', column('VSZ', (p) => String(p.virtualKib))],
  ['rss', column('RSS', (p) => String(p.residentKib))],
  ['ni', column('NI', (p) => String(p.nice))],
  ['nice', column('NI', (p) => String(p.nice))],
]);

const FULL: readonly Column[] = [
  column('UID', (p) => p.user),
  pid,
  column('PPID', (p) => String(p.parent)),
  column('C', (p, clock) => String(Math.floor(usage(p, clock)))),
  column('STIME', startTime),
  column('TTY', terminal),
  column('TIME', cpuTime),
  command('CMD'),
];

/** `-ef`, `-o a,b -o c`. Errors: `internal` with ps's own text for a column that it does not know. */
export function parsePsArguments(text: string): readonly Column[] {
  const words = text.split(/\s+/).filter((word) => word !== '');
  const lists = words.flatMap((word, index) => {
    if (word === '-o' || word === 'o') return [words[index + 1] ?? ''];
    return word.startsWith('-o')
      ? [word.slice(2)]
      : word.startsWith('-eo')
        ? [word.slice(3) || (words[index + 1] ?? '')]
        : [];
  });
  const names = lists.flatMap((list) => list.split(',')).filter((name) => name !== '');
  if (names.length === 0) return FULL;
  return names.map((name) => {
    const known = KNOWN.get(name.split('=')[0] ?? '');
    if (known === undefined)
      throw new EngineError('internal', `ps: error: unknown user-defined format specifier "${name}"`);
    return known;
  });
}

export function formatColumns(
  process: ProcessFacts,
  columns: readonly Column[],
  clock: ProcessClock,
): readonly string[] {
  return columns.map((item) => item.value(process, clock));
}
