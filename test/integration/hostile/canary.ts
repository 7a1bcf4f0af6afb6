/** Something on the host that a hostile image points at. Nothing may ever happen to it. */
import { lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import assert from 'node:assert/strict';
import type { Place } from '../differential/bundle.ts';

export interface Canary {
  readonly path: string;
  /** Throws when anything below was made, changed, or mounted over. */
  check(): void;
}

function state(path: string): string[] {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .map((entry) => {
      const { mode, uid, gid, size, mtimeMs } = lstatSync(join(entry.parentPath, entry.name));
      return `${entry.parentPath}/${entry.name} ${mode} ${uid} ${gid} ${size} ${mtimeMs}`;
    })
    .toSorted();
}

/** A folder beside the root with a file, an empty folder and the names that a runtime would make or write. */
export function canary(at: Place): Canary {
  const path = join(at.folder, 'canary');
  for (const name of ['empty', 'pts', 'self/attr', 'sys/net/ipv4', 'sys/kernel', 'etc'])
    mkdirSync(join(path, name), { recursive: true });
  for (const name of ['file', 'null', 'self/attr/exec', 'sys/net/ipv4/ip_forward', 'etc/passwd'])
    writeFileSync(join(path, name), 'untouched\n');
  const before = state(path);
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n').length;
  return {
    path,
    check: () => {
      assert.deepEqual(state(path), before);
      const now = readFileSync('/proc/self/mountinfo', 'utf8');
      assert.ok(!now.includes(at.folder), 'a mount of the container is visible on the host');
      assert.ok(now.split('\n').length <= mounts + 64, 'the mount table of the host grows');
    },
  };
}
