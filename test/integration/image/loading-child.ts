/**
 * A process for tests to kill: loads the archive of argv[3] into the data root argv[2], and says when it
 * begins and ends.
 */
import { createReadStream } from 'node:fs';
import { silentLog } from '#base/log.ts';
import { createKernel } from '#host/real.ts';
import { openImageService } from '#image/open.ts';
import { openStorage } from '#storage/storage.ts';
import { noRegistry } from '../../support/no-registry.ts';

const [, , root = '', archive = ''] = process.argv;
const storage = await openStorage({ root, kernel: createKernel(), bootId: 'boot', log: silentLog });
const images = await openImageService({
  root,
  storage,
  registry: noRegistry(),
  log: silentLog,
  engineVersion: '28.5.2',
  users: { containersUsing: () => [] },
  onEvent: () => undefined,
});
process.stdout.write('ready\n');
await images.load(createReadStream(archive), { quiet: true, onProgress: () => undefined });
process.stdout.write('loaded\n');
await storage.close();
