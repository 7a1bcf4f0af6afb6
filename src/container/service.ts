import { attachContainer } from './attach.ts';
import { changesOfContainer } from './changes.ts';
import { commitContainer } from './commit.ts';
import type { ContainerService } from './container-service.ts';
import { createContainer } from './create.ts';
import { createExec, inspectExec, resizeExec, startExec } from './exec.ts';
import { ExecFiles } from './exec/exec-files.ts';
import { ExecTable } from './exec/table.ts';
import { exportContainer } from './export.ts';
import { handleExecExit, handleExit, handleOom } from './exit.ts';
import { inspectContainer } from './inspect.ts';
import { listContainers } from './list.ts';
import { openLogs } from './logs.ts';
import { pauseContainer, unpauseContainer } from './pause.ts';
import type { ContainerDeps, TaskHandlers } from './ports.ts';
import { pruneContainers } from './prune.ts';
import { Ledger } from './record/ledger.ts';
import { RunningStates } from './record/running-state.ts';
import { RecordStore } from './record/store.ts';
import { removeContainer } from './remove.ts';
import { renameContainer } from './rename.ts';
import { resizeContainer } from './resize.ts';
import { restartContainer } from './restart.ts';
import { restoreContainers, startByPolicy } from './restore.ts';
import type { Room } from './room.ts';
import { startContainer } from './start.ts';
import { StartDrafts } from './start/drafts.ts';
import { ImageTrees } from './start/image-trees.ts';
import { countsAsRunning } from './state.ts';
import { killContainer, stopContainer } from './stop.ts';
import { topContainer } from './top.ts';
import { updateContainer } from './update.ts';
import { waitForContainer } from './wait.ts';

function counts(ledger: Ledger): ReturnType<ContainerService['counts']> {
  const statuses = ledger.entries().map((entry) => entry.record.state.status);
  const paused = statuses.filter((status) => status === 'paused').length;
  const running = statuses.filter(countsAsRunning).length - paused;
  return { total: statuses.length, running, paused, stopped: statuses.length - running - paused };
}

/** What the runtime calls back, as it says things: the end of tasks and execs. */
export function taskHandlers(room: Room): TaskHandlers {
  return {
    onExit: (id, exit) => handleExit(room, id, exit),
    onExecExit: (id, execId, exit) => handleExecExit(room, id, { execId, exitCode: exit.exitCode }),
    onOom: (id) => handleOom(room, id),
  };
}

/** The thin face over the verbs. Call `restore` before the first request. */
export function createContainerService(deps: ContainerDeps): ContainerService {
  const { settings, log } = deps;
  const ledger = new Ledger({
    store: new RecordStore(settings.dataRoot, log, deps.files),
    running: new RunningStates(settings.execRoot, log),
    log,
  });
  const execs = new ExecTable(new ExecFiles(settings.execRoot, log));
  const room: Room = { deps, ledger, execs, imageTrees: new ImageTrees(), drafts: new StartDrafts() };
  return {
    create: (request) => createContainer(room, request),
    start: (reference) => startContainer(room, reference),
    stop: (reference, request) => stopContainer(room, reference, request),
    restart: (reference, request) => restartContainer(room, reference, request),
    kill: (reference, signal) => killContainer(room, reference, signal),
    pause: (reference) => pauseContainer(room, reference),
    unpause: (reference) => unpauseContainer(room, reference),
    rename: (reference, newName) => renameContainer(room, reference, newName),
    update: (reference, body) => updateContainer(room, reference, body),
    remove: (reference, request) => removeContainer(room, reference, request),
    wait: async (reference, condition, signal) => waitForContainer(room, reference, { condition, signal }),
    resize: (reference, size) => resizeContainer(room, reference, size),
    attach: (reference, request) => attachContainer(room, reference, request),
    logs: (reference, request) => openLogs(room, reference, request),
    top: (reference, psArgs) => topContainer(room, reference, psArgs),
    list: (request) => listContainers(room, request),
    inspect: (reference, options) => inspectContainer(room, reference, options),
    prune: (filters) => pruneContainers(room, filters),
    commit: (reference, request) => commitContainer(room, reference, request),
    export: (reference) => exportContainer(room, reference),
    changes: (reference) => changesOfContainer(room, reference),
    execCreate: (reference, body) => createExec(room, reference, body),
    execStart: (execId, request) => startExec(room, execId, request),
    execInspect: (execId) => inspectExec(room, execId),
    execResize: (execId, size) => resizeExec(room, execId, size),
    usingImage: (imageId) =>
      ledger
        .entries()
        .filter((entry) => entry.record.imageId === imageId)
        .map(({ record }) => ({
          id: record.id,
          name: record.name,
          running: countsAsRunning(record.state.status),
        })),
    counts: () => counts(ledger),
    records: () => ledger.entries().map((entry) => entry.record),
    handlers: taskHandlers(room),
    restore: () => restoreContainers(room),
    startByPolicy: () => startByPolicy(room),
    close: async () => {
      ledger.stop();
      await ledger.flush();
    },
  };
}
