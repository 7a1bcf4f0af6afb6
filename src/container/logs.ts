import { join } from 'node:path';
import * as messages from '#api/messages.ts';
import { parseTimestampNanos } from '#api/timestamp.ts';
import { EngineError } from '#base/errors.ts';
import type { LogsRequest, LogsSession } from './container-service.ts';
import { logDetails } from './logs/details.ts';
import { readLog } from './logs/read-log.ts';
import type { Room } from './room.ts';
import { countsAsRunning } from './state.ts';

/** `all`, a negative number or anything that is none means everything. */
function tailOf(text: string): number | null {
  return /^\d+$/.test(text) ? Number(text) : null;
}

/** Errors: `invalidArgument`, `notFound`, `notImplemented` when the driver keeps nothing. */
export async function openLogs(room: Room, reference: string, request: LogsRequest): Promise<LogsSession> {
  const { ledger, deps } = room;
  if (!request.stdout && !request.stderr) throw new EngineError('invalidArgument', messages.noLogStreams());
  const entry = ledger.find(reference);
  const { record } = entry;
  const since = parseTimestampNanos(request.since);
  const until = parseTimestampNanos(request.until);
  if (record.hostConfig.LogConfig.Type !== 'json-file')
    throw new EngineError('notImplemented', messages.logsUnsupported());
  const path = join(ledger.store.directoryOf(record.id), `${record.id}-json.log`);
  return {
    tty: record.config.Tty,
    frames: (signal) =>
      readLog({
        path,
        window: {
          stdout: request.stdout,
          stderr: request.stderr,
          since: since === 0n ? null : since,
          until: until === 0n ? null : until,
        },
        style: { timestamps: request.timestamps, details: request.details ? logDetails(record) : null },
        tail: tailOf(request.tail),
        signal,
        log: deps.log,
        follow: request.follow
          ? {
              isWriting: () => countsAsRunning(entry.record.state.status) && !entry.buried,
              onChange: (listener) => {
                entry.onEnd.add(listener);
                entry.onRemoved.add(listener);
                return () => {
                  entry.onEnd.delete(listener);
                  entry.onRemoved.delete(listener);
                };
              },
            }
          : null,
      }),
  };
}
