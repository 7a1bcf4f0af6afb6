import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { until } from '../../support/command.ts';
import { e2e } from '../../support/e2e.ts';

/** The file cuts trailing zeros of a second's fraction, `logs -t` does not. */
function withNineDigits(time: string): string {
  const [whole = '', fraction = ''] = time.replace('Z', '').split('.');
  return `${whole}.${fraction.padEnd(9, '0')}Z`;
}

e2e('11: a loop that prints; logs follows it; LogPath holds the same', {}, async (daemon) => {
  const script = 'i=0; while [ $i -lt 20 ]; do i=$((i+1)); echo line $i; sleep 0.1; done';
  const id = await daemon.mustDocker(['run', '-d', 'busybox', '/bin/sh', '-c', script]);
  const followed = await daemon.docker(['logs', '-ft', '--tail', '100', id]);
  const lines = followed.stdout.trimEnd().split('\n');
  assert.equal(lines.length, 20);
  for (const [i, line] of lines.entries())
    assert.match(line, new RegExp(`^\\d{4}-\\d\\d-\\d\\dT\\S+Z line ${i + 1}$`));

  const tail = await daemon.mustDocker(['logs', '--tail=5', id]);
  assert.deepEqual(tail.split('\n'), ['line 16', 'line 17', 'line 18', 'line 19', 'line 20']);

  const path = await daemon.mustDocker(['inspect', '-f', '{{.LogPath}}', id]);
  const records = await until(
    async () => {
      const text = await readFile(path, 'utf8');
      const all = text.trimEnd().split('\n');
      return all.length === 20
        ? all.map((l) => JSON.parse(l) as { log: string; stream: string; time: string })
        : undefined;
    },
    { what: 'twenty records in the log file' },
  );
  assert.deepEqual(
    records.map((record) => `${withNineDigits(record.time)} ${record.log.trimEnd()}`),
    lines,
  );
  assert.ok(records.every((record) => record.stream === 'stdout'));
});
