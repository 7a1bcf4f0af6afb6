import { readFile, stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { EngineError } from '#base/errors.ts';
import type { TopReply } from './container-service.ts';
import type { Room } from './room.ts';
import { transition } from './state.ts';
import { formatColumns, parsePsArguments, type ProcessFacts } from './inspect/processes.ts';

/** Clock ticks of /proc are a hundredth of a second on every architecture this engine runs on. */
const TICKS_PER_SECOND = 100;

/**
 * Processes of the container as ps shows them, read from /proc: nothing is spawned. Errors: `conflict`,
 * `internal` for bad columns.
 */
export async function topContainer(room: Room, reference: string, psArguments: string): Promise<TopReply> {
  const entry = room.ledger.find(reference);
  transition(entry.record, 'top');
  const columns = parsePsArguments(psArguments === '' ? '-ef' : psArguments);
  const pids = await room.deps.tasks.pids(entry.record.id);
  const names = await userNames();
  const uptimeSeconds = Number((await readFile('/proc/uptime', 'utf8')).split(' ')[0]);
  const facts = await Promise.all(pids.map((pid) => readProcess(pid, names).catch(() => null)));
  const processes = facts.filter((item) => item !== null).sort((a, b) => a.pid - b.pid);
  const clock = { nowMs: room.deps.clock.nowMs(), uptimeSeconds };
  return {
    Processes: processes.map((item) => formatColumns(item, columns, clock)),
    Titles: columns.map((column) => column.title),
  };
}

async function userNames(): Promise<ReadonlyMap<number, string>> {
  const text = await readFile('/etc/passwd', 'utf8').catch(() => `root:x:${userInfo().uid}:`);
  return new Map(
    text.split('\n').flatMap((line) => {
      const [name, , uid] = line.split(':');
      return name === undefined || uid === undefined ? [] : [[Number(uid), name] as const];
    }),
  );
}

async function readProcess(pid: number, names: ReadonlyMap<number, string>): Promise<ProcessFacts> {
  const [line, command, owner] = await Promise.all([
    readFile(`/proc/${pid}/stat`, 'latin1'),
    readFile(`/proc/${pid}/cmdline`, 'utf8'),
    stat(`/proc/${pid}`),
  ]);
  const close = line.lastIndexOf(')');
  const fields = line.slice(close + 2).split(' ');
  const field = (number: number): string => fields[number - 3] ?? '0';
  const name = line.slice(line.indexOf('(') + 1, close);
  if (fields.length < 20) throw new EngineError('internal', `ps: error: /proc/${pid}/stat is malformed`);
  return {
    pid,
    parent: Number(field(4)),
    name,
    command: command === '' ? `[${name}]` : command.replace(/\0+$/, '').replaceAll('\0', ' '),
    uid: owner.uid,
    user: names.get(owner.uid) ?? String(owner.uid),
    state: field(3),
    terminal: Number(field(7)),
    cpuSeconds: (Number(field(14)) + Number(field(15))) / TICKS_PER_SECOND,
    startedSeconds: Number(field(22)) / TICKS_PER_SECOND,
    virtualKib: Math.floor(Number(field(23)) / 1024),
    residentKib: Number(field(24)) * 4,
    nice: Number(field(19)),
  };
}
