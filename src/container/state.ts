import * as messages from '#api/messages.ts';
import { EngineError } from '#base/errors.ts';
import type { ContainerRecord, ContainerStatus } from './record.ts';

/*
 * The one table of a container's life: status × action → next status, or the error that clients match.
 * Nobody else compares
 * status strings.
 */

export type Action =
  | 'start'
  | 'started'
  | 'stop'
  | 'kill'
  | 'pause'
  | 'unpause'
  | 'exit'
  | 'restart-later'
  | 'remove'
  | 'remove-forced'
  | 'exec'
  | 'attach'
  | 'resize'
  | 'top'
  | 'rename';

type Subject = Pick<ContainerRecord, 'id' | 'name'>;
type Refusal = (subject: Subject) => EngineError;
type Outcome = ContainerStatus | Refusal;

const notRunning: Refusal = ({ id }) => new EngineError('conflict', messages.containerNotRunning(id));
const unchanged: Refusal = () => new EngineError('notModified', '');
const alreadyPaused: Refusal = ({ id }) => new EngineError('conflict', messages.containerAlreadyPaused(id));
const notPaused: Refusal = ({ id }) => new EngineError('internal', messages.containerNotPaused(id));
const restarting: Refusal = ({ id }) => new EngineError('conflict', messages.containerRestarting(id));
const pausedStart: Refusal = () => new EngineError('conflict', messages.startPaused());
const marked: Refusal = () => new EngineError('conflict', messages.startMarkedForRemoval());
const deadStart: Refusal = () => new EngineError('conflict', 'container is dead and cannot be started');
const pausedExec: Refusal = ({ name }) => new EngineError('conflict', messages.containerPausedExec(name));
const pausedAttach: Refusal = ({ name }) =>
  new EngineError('conflict', `container ${name} is paused, unpause the container before attach`);
const runningRemove: Refusal = ({ name }) => new EngineError('conflict', messages.removeRunning(name));
const pausedRemove: Refusal = ({ name }) => new EngineError('conflict', messages.removePaused(name));
const restartingRemove: Refusal = ({ name }) => new EngineError('conflict', messages.removeRestarting(name));
const inProgress: Refusal = ({ name }) => new EngineError('conflict', messages.removalInProgress(name));

const NOT_RUNNING_ROW = {
  stop: unchanged,
  kill: notRunning,
  pause: notRunning,
  unpause: notRunning,
  exec: notRunning,
  resize: notRunning,
  top: notRunning,
  remove: 'removing',
  'remove-forced': 'removing',
} as const;

const TABLE: Readonly<Record<ContainerStatus, Readonly<Partial<Record<Action, Outcome>>>>> = {
  created: {
    ...NOT_RUNNING_ROW,
    start: 'created',
    started: 'running',
    exit: 'created',
    attach: 'created',
    rename: 'created',
  },
  running: {
    start: unchanged,
    started: 'running',
    stop: 'running',
    kill: 'running',
    pause: 'paused',
    unpause: notPaused,
    exit: 'exited',
    'restart-later': 'restarting',
    remove: runningRemove,
    'remove-forced': 'removing',
    exec: 'running',
    attach: 'running',
    resize: 'running',
    top: 'running',
    rename: 'running',
  },
  paused: {
    start: pausedStart,
    stop: 'paused',
    kill: 'paused',
    pause: alreadyPaused,
    unpause: 'running',
    exit: 'exited',
    'restart-later': 'restarting',
    remove: pausedRemove,
    'remove-forced': 'removing',
    exec: pausedExec,
    attach: pausedAttach,
    resize: 'paused',
    top: 'paused',
    rename: 'paused',
  },
  restarting: {
    start: 'restarting',
    started: 'running',
    stop: 'exited',
    kill: notRunning,
    pause: restarting,
    unpause: notPaused,
    exit: 'exited',
    'restart-later': 'restarting',
    remove: restartingRemove,
    'remove-forced': 'removing',
    exec: restarting,
    attach: 'restarting',
    resize: restarting,
    top: restarting,
    rename: 'restarting',
  },
  removing: {
    ...NOT_RUNNING_ROW,
    start: marked,
    attach: 'removing',
    remove: inProgress,
    'remove-forced': inProgress,
    rename: marked,
  },
  exited: {
    ...NOT_RUNNING_ROW,
    start: 'exited',
    started: 'running',
    exit: 'exited',
    'restart-later': 'restarting',
    attach: 'exited',
    rename: 'exited',
  },
  dead: { ...NOT_RUNNING_ROW, start: deadStart, attach: 'dead', rename: deadStart },
};

/**
 * What `status` becomes by `action`. Errors: the reference's text, of the kind that gives its status
 * number.
 */
export function transition(
  record: Subject & { readonly state: { readonly status: ContainerStatus } },
  action: Action,
): ContainerStatus {
  const outcome = TABLE[record.state.status][action];
  if (outcome === undefined) {
    throw new EngineError(
      'conflict',
      `container ${record.id} is ${record.state.status}: ${action} is not possible`,
    );
  }
  if (typeof outcome === 'function') throw outcome(record);
  return outcome;
}

/** A process exists. */
export function hasProcess(status: ContainerStatus): boolean {
  return status === 'running' || status === 'paused';
}

/** Inspect's `Running`: a container between two runs of a restart policy counts. */
export function countsAsRunning(status: ContainerStatus): boolean {
  return hasProcess(status) || status === 'restarting';
}

export const STATUSES: readonly ContainerStatus[] = [
  'created',
  'running',
  'paused',
  'restarting',
  'removing',
  'exited',
  'dead',
];
