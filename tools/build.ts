import { join } from 'node:path';
import { bundleTargets } from './build-steps/bundles.ts';
import { nativeTargets } from './build-steps/native.ts';
import { filesBelow, make } from './build-steps/target.ts';
import { ROOT } from './paths.ts';
import { imageTargets } from './set-up/images.ts';

/** Makes in dist/ whatever is not there or older than its sources; returns the names of what was made. */
export async function buildAll(): Promise<string[]> {
  const recipe = [
    join(ROOT, 'package-lock.json'),
    ...filesBelow(join(ROOT, 'tools/build-steps'), /^\w+\.ts$/),
  ];
  const targets = [...bundleTargets(recipe), ...nativeTargets(recipe), ...imageTargets()];
  const built: string[] = [];
  const results = await Promise.allSettled(
    targets.map(async (target) => {
      if ((await make(target)) === 'built') built.push(target.name);
    }),
  );
  const failures = results.flatMap((result) =>
    result.status === 'rejected' ? [result.reason as Error] : [],
  );
  if (failures.length > 0) throw new Error(failures.map((failure) => failure.message).join('\n'));
  return built;
}

if (import.meta.main) {
  const startMs = performance.now();
  try {
    const built = await buildAll();
    const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
    process.stdout.write(
      built.length === 0
        ? 'everything is up to date\n'
        : `built ${built.sort().join(', ')} in ${seconds} s\n`,
    );
  } catch (error) {
    process.stderr.write(`build failed\n${(error as Error).message}\n`);
    process.exitCode = 1;
  }
}
