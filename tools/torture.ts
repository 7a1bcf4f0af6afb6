/** `npm run torture [-- --kills N --seed N]`: the long versions of what `npm test` shows in short. */
import { parseArgs } from 'node:util';
import { busyboxArchive } from '../test/support/images.ts';
import { killRepeatedly } from '../test/torture/kills.ts';

const { values } = parseArgs({
  options: { kills: { type: 'string', default: '50' }, seed: { type: 'string' } },
});
const { archive, reference } = await busyboxArchive();
const result = await killRepeatedly({
  kills: Number(values.kills),
  archive,
  image: reference,
  ...(values.seed !== undefined && { seed: Number(values.seed) }),
  report: (line) => process.stdout.write(`${line}\n`),
});
for (const violation of result.violations) process.stdout.write(`${violation.rule}: ${violation.text}\n`);
process.stdout.write(
  `${values.kills} kills, seed ${result.seed}: ${result.acknowledged} acknowledged, ${result.violations.length} violations\n`,
);
process.exitCode = result.violations.length === 0 ? 0 : 1;
