import { join } from 'node:path';
import * as messages from '#api/messages.ts';
import { EngineError } from '#base/errors.ts';
import type { AttachRequest, StreamSession } from './container-service.ts';
import { copyStreams, type StreamClient } from './attach/copy.ts';
import { parseDetachKeys } from './attach/detach-keys.ts';
import { readLog } from './logs/read-log.ts';
import type { Entry } from './record/ledger.ts';
import { tell, type Room } from './room.ts';
import { transition } from './state.ts';

/**
 * Attached when this returns: a container that is started afterwards is seen from its first byte. Errors:
 * `invalidArgument` for
 * bad keys, `conflict` when it is paused.
 */
export async function attachContainer(
  room: Room,
  reference: string,
  request: AttachRequest,
): Promise<StreamSession> {
  const { deps, ledger } = room;
  const entry = ledger.find(reference);
  const keys = parseDetachKeys(request.detachKeys);
  if (keys === null) throw new EngineError('invalidArgument', messages.invalidDetachKeys(request.detachKeys));
  transition(entry.record, 'attach');
  const { id, config } = entry.record;
  const { streams } = request;
  const stream = request.stream
    ? await deps.tasks.attach(id, null, {
        stdin: streams.stdin && config.OpenStdin,
        stdout: streams.stdout,
        stderr: streams.stderr,
      })
    : null;
  tell(room, entry, { action: 'attach' });
  return {
    tty: config.Tty,
    run: async (client) => {
      if (request.logs) await copyLog(room, entry, { request, client });
      if (stream === null) return;
      const end = await copyStreams(stream, client, config.Tty ? keys : null);
      if (end === 'detached') tell(room, entry, { action: 'detach' });
    },
  };
}

async function copyLog(
  room: Room,
  entry: Entry,
  parts: { request: AttachRequest; client: StreamClient },
): Promise<void> {
  const { record } = entry;
  const { request, client } = parts;
  if (record.hostConfig.LogConfig.Type !== 'json-file') return;
  const frames = readLog({
    path: join(room.ledger.store.directoryOf(record.id), `${record.id}-json.log`),
    window: { stdout: request.streams.stdout, stderr: request.streams.stderr, since: null, until: null },
    style: { timestamps: false, details: null },
    tail: null,
    signal: client.signal,
    log: room.deps.log,
    follow: null,
  });
  for await (const frame of frames) await client.write(frame);
}
