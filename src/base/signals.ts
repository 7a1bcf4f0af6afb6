/** Signal numbers of Linux on x86 and arm. */
const SIGNALS: Readonly<Record<string, number>> = {
  HUP: 1,
  INT: 2,
  QUIT: 3,
  ILL: 4,
  TRAP: 5,
  ABRT: 6,
  IOT: 6,
  BUS: 7,
  FPE: 8,
  KILL: 9,
  USR1: 10,
  SEGV: 11,
  USR2: 12,
  PIPE: 13,
  ALRM: 14,
  TERM: 15,
  STKFLT: 16,
  CHLD: 17,
  CLD: 17,
  CONT: 18,
  STOP: 19,
  TSTP: 20,
  TTIN: 21,
  TTOU: 22,
  URG: 23,
  XCPU: 24,
  XFSZ: 25,
  VTALRM: 26,
  PROF: 27,
  WINCH: 28,
  IO: 29,
  POLL: 29,
  PWR: 30,
  SYS: 31,
  UNUSED: 31,
  RTMIN: 34,
  RTMAX: 64,
};

/** A number or a name with or without `SIG`, also `RTMIN+3` and `RTMAX-2`; null for anything else. */
export function parseSignal(text: string): number | null {
  if (/^\d+$/.test(text)) {
    const number = Number(text);
    return number <= 64 ? number : null;
  }
  const name = text.toUpperCase().replace(/^SIG/, '');
  const realTime = /^RT(?:MIN\+(\d+)|MAX-(\d+))$/.exec(name);
  if (realTime !== null) {
    const number = realTime[1] !== undefined ? 34 + Number(realTime[1]) : 64 - Number(realTime[2]);
    return number >= 34 && number <= 64 ? number : null;
  }
  return Object.hasOwn(SIGNALS, name) ? (SIGNALS[name] ?? null) : null;
}

export const SIGKILL = 9;
export const SIGTERM = 15;
