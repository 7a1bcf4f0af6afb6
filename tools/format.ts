/** `npm run format [-- PATH…]`: wraps comments that are too long, then lets biome format. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { ROOT } from './paths.ts';
import { readSources } from './source/files.ts';
import { wrapComments } from './source/wrap-comments.ts';

const wanted = process.argv.slice(2).map((path) => relative(ROOT, resolve(path)));

function isWanted(path: string): boolean {
  return wanted.length === 0 || wanted.some((want) => path === want || path.startsWith(`${want}/`));
}

for (const file of readSources().filter(({ path }) => /\.(ts|mjs|c|h)$/.test(path) && isWanted(path))) {
  if (file.path.includes('/generated/')) continue;
  const text = wrapComments(file);
  if (text !== file.text) writeFileSync(join(ROOT, file.path), text);
}
const formatted = spawnSync('node_modules/.bin/biome', ['format', '--write', ...wanted], {
  cwd: ROOT,
  stdio: ['ignore', 'inherit', 'inherit'],
});
process.exit(formatted.status ?? 1);
