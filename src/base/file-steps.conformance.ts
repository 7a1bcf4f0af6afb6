import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errorCode } from './errors.ts';
import type { FilePort } from './file-steps.ts';

/** What every way of carrying steps out must do. */
export async function checkFilePort({ carryOut, discard }: FilePort): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'gantry-steps-'));
  try {
    const staged = join(root, 'staged');
    await carryOut([
      { kind: 'directory', path: staged, mode: 0o1777, owner: { uid: 1, gid: 2 } },
      { kind: 'file', path: join(staged, 'f'), content: 'text é', mode: 0o666, flush: true },
      { kind: 'file', path: join(staged, 'g'), content: '', mode: 0o600, owner: { uid: 3, gid: 4 } },
      { kind: 'symlink', path: join(staged, 'l'), target: 'nowhere' },
      { kind: 'rename', from: staged, to: join(root, 'd') },
      { kind: 'flushDirectory', path: root },
    ]);
    const made = statSync(join(root, 'd'));
    assert.deepEqual([made.mode & 0o7777, made.uid, made.gid], [0o1777, 1, 2]);
    assert.equal(readFileSync(join(root, 'd', 'f'), 'utf8'), 'text é');
    assert.equal(statSync(join(root, 'd', 'f')).mode & 0o777, 0o666);
    const owned = statSync(join(root, 'd', 'g'));
    assert.deepEqual([owned.uid, owned.gid], [3, 4]);
    assert.equal(readlinkSync(join(root, 'd', 'l')), 'nowhere');
    const late = join(root, 'late');
    const failing = carryOut([
      { kind: 'directory', path: join(root, 'd'), mode: 0o700 },
      { kind: 'file', path: late, content: '', mode: 0o600 },
    ]);
    await assert.rejects(failing, (error) => errorCode(error) === 'EEXIST');
    assert.throws(() => statSync(late), /ENOENT/);
    await carryOut([{ kind: 'file', path: join(root, 'd', 'f'), content: '', mode: 0o600 }]);
    assert.equal(readFileSync(join(root, 'd', 'f'), 'utf8'), '');
    const gone = (kind: 'file' | 'directory', ...names: string[]) => ({ kind, path: join(root, ...names) });
    const some = [gone('file', 'd', 'f'), gone('file', 'd', 'no such'), gone('directory', 'd')];
    assert.equal(await discard(some), false, 'the directory is not empty');
    const rest = [gone('file', 'd', 'g'), gone('file', 'd', 'l'), gone('directory', 'd'), gone('file', 'f')];
    assert.equal(await discard(rest), true);
    assert.deepEqual(readdirSync(root), []);
  } finally {
    rmSync(root, { recursive: true });
  }
}
