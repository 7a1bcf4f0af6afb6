import { spawnSync } from 'node:child_process';
import { ROOT } from './paths.ts';

const result = spawnSync('node_modules/.bin/biome', ['format', '--write', ...process.argv.slice(2)], {
  cwd: ROOT,
  stdio: ['ignore', 'inherit', 'inherit'],
});
process.exit(result.status ?? 1);
