/**
 * The launcher's decoder under mutated plans, the addon's under mutated entries of layers, and the shim's
 * other pure parts, with sanitizers; and all of them under valgrind.
 */
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { realPlans } from '../integration/launcher/real-plans.ts';
import { BASE_SEED, roundsOf } from './rounds.ts';

const BUILD = join(import.meta.dirname, '../../native/build.sh');
const SHORT_ROUNDS = 5000;
/** A round is a thousand times faster than one of other fuzzers: torture's 3,000 become a million. */
const ROUNDS_PER_ROUND = 400;
const VALGRIND_ROUNDS = 300;

const run = promisify(execFile);
const scratch = mkdtempSync(join(tmpdir(), 'gantry-fuzz-plans-'));
after(() => rmSync(scratch, { recursive: true, force: true }));

/** Whether this compiler can build a program with these flags that runs. */
function works(flags: readonly string[]): boolean {
  const path = join(scratch, 'probe');
  const made = spawnSync(process.env['CC'] ?? 'cc', ['-x', 'c', '-', '-o', path, ...flags], {
    input: 'int main(void) { return 0; }\n',
  });
  return made.status === 0 && spawnSync(path).status === 0;
}

async function build(name: string, flags?: string): Promise<string> {
  const out = join(scratch, name);
  const fuzzFlags = flags === undefined ? {} : { GANTRY_FUZZ_FLAGS: flags };
  await run('sh', [BUILD, 'fuzzers'], { env: { ...process.env, ...fuzzFlags, GANTRY_NATIVE_OUT: out } });
  return out;
}

const noSanitizers = !works(['-fsanitize=address,undefined']) && 'no sanitizer runtime';
const noValgrind = (!works([]) || spawnSync('valgrind', ['--version']).status !== 0) && 'no valgrind';

test('mutated plans and entries are refused or read, never more', { skip: noSanitizers }, async () => {
  const out = await build('checked');
  const rounds = roundsOf(SHORT_ROUNDS, ROUNDS_PER_ROUND);
  const seeds = realPlans(scratch);
  for (const plans of [[], seeds]) {
    const args = [String(Math.ceil(rounds / 2)), String(BASE_SEED), ...plans];
    const { stdout } = await run(join(out, 'plan-fuzz'), args);
    const accepted = Number(/ (\d+) accepted/.exec(stdout)?.[1]);
    assert.ok(accepted > rounds / 100, stdout);
  }
  execFileSync(join(out, 'ring-fuzz'), ['2000', String(BASE_SEED)], { cwd: scratch, stdio: 'ignore' });
  const entries = await run(join(out, 'entries-fuzz'), [String(rounds * 4), String(BASE_SEED)]);
  assert.match(entries.stdout, / accepted, checksum/);
});

test('decoders, ring and log lines are clean under valgrind', { skip: noValgrind }, async () => {
  const out = await build('plain', '-g -O1');
  for (const [name, more] of [
    ['plan-fuzz', realPlans(scratch)],
    ['ring-fuzz', []],
    ['frame-fuzz', []],
    ['entries-fuzz', []],
  ] as const) {
    const args = ['-q', '--error-exitcode=9', '--leak-check=full', join(out, name)];
    await run('valgrind', [...args, String(VALGRIND_ROUNDS), String(BASE_SEED), ...more], { cwd: scratch });
  }
});
