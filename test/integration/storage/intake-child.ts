/**
 * A process for tests to kill: takes the blob of argv[3] into the data root argv[2], goes on where an earlier
 * one was, unpacks it meanwhile, and says after each piece how much it has.
 */
import { readFileSync } from 'node:fs';
import { silentLog } from '#base/log.ts';
import { createKernel } from '#host/real.ts';
import { digestOf } from '#oci/digest.ts';
import { openStorage } from '#storage/storage.ts';

const PIECE_BYTES = 10_000;
const [, , root = '', path = ''] = process.argv;
const bytes = readFileSync(path);
const digest = digestOf(bytes);
const storage = await openStorage({ root, kernel: createKernel(), bootId: 'boot', log: silentLog });
const lease = storage.leases.open(digest);
const intake = await storage.intakes.open({ digest, sizeBytes: bytes.length });
process.stdout.write(`${intake.haveBytes}\n`);
const unpacking = storage.snapshotter.unpack({ bytes: { growing: intake.file, digest }, diffId: null });
while (intake.haveBytes < bytes.length) {
  await intake.append([bytes.subarray(intake.haveBytes, intake.haveBytes + PIECE_BYTES)]);
  process.stdout.write(`${intake.haveBytes}\n`);
}
intake.end();
const unpacked = await unpacking;
await intake.publish();
await storage.content.sync();
await storage.snapshotter.commitUnpacked({ parent: null, unpacked });
await storage.snapshotter.sync();
lease.release();
process.stdout.write('done\n');
await storage.close();
