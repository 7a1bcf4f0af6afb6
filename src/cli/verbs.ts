import type { Verb } from './context.ts';

/** Each verb's file is loaded when it is used: a command starts no slower for the others. */
export const VERBS: Readonly<Record<string, () => Promise<Verb>>> = {
  attach: async () => (await import('./container/start.ts')).attachCommand,
  create: async () => (await import('./container/run.ts')).createCommand,
  events: async () => (await import('./system/events.ts')).eventsCommand,
  exec: async () => (await import('./container/exec.ts')).execCommand,
  images: async () => (await import('./image/list.ts')).imagesCommand,
  import: async () => (await import('./image/archive.ts')).importCommand,
  info: async () => (await import('./system/version.ts')).infoCommand,
  inspect: async () => (await import('./container/inspect.ts')).inspectCommand,
  kill: async () => (await import('./container/change.ts')).killCommand,
  load: async () => (await import('./image/archive.ts')).loadCommand,
  logs: async () => (await import('./container/logs.ts')).logsCommand,
  pause: async () => (await import('./container/change.ts')).pauseCommand,
  ps: async () => (await import('./container/list.ts')).listCommand,
  rename: async () => (await import('./container/change.ts')).renameCommand,
  restart: async () => (await import('./container/change.ts')).restartCommand,
  rm: async () => (await import('./container/change.ts')).removeCommand,
  rmi: async () => (await import('./image/remove.ts')).removeImageCommand,
  run: async () => (await import('./container/run.ts')).runCommand,
  start: async () => (await import('./container/start.ts')).startCommand,
  stop: async () => (await import('./container/change.ts')).stopCommand,
  tag: async () => (await import('./image/remove.ts')).tagCommand,
  unpause: async () => (await import('./container/change.ts')).unpauseCommand,
  version: async () => (await import('./system/version.ts')).versionCommand,
  wait: async () => (await import('./container/change.ts')).waitCommand,
};
